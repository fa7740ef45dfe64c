/* Preloaded while instructions are counted: time goes by in equal steps and there is no randomness, so that tables are
 * seeded alike in every run and the same work takes the same instructions. Nothing else loads it. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/types.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static long steps;
    (void)clock;
    steps++;
    time->tv_sec = 1700000000 + steps / 1000000;
    time->tv_nsec = steps % 1000000 * 1000;
    return 0;
}

ssize_t getrandom(void *bytes, size_t count, unsigned int flags)
{
    (void)flags;
    memset(bytes, 42, count);
    return (ssize_t)count;
}
