/*
 * Records what a process does to the files below one directory, so that power cuts can be replayed afterwards.
 *
 * Preloaded into a real process (LD_PRELOAD), it sees every write on its way to the kernel: Rust's and those of the C
 * inside LMDB alike. Each event is appended to the recording in one write, so events of all threads, and notes that the
 * process itself appends, have one order. A write is recorded when it has returned, a sync when it starts and again when
 * it has returned: so whatever was recorded before a sync started is covered by it. Reads are not touched.
 *
 * With QUINTET_FAIL_NTH=N the N-th write, sync, truncation or allocation below the directory fails instead, and every
 * later one too: errno is QUINTET_FAIL_ERRNO, EIO unless set. QUINTET_FAIL_PATH limits it to paths that contain a word.
 * With QUINTET_FAIL_WHEN=FILE counting begins when that file is there.
 *
 *   QUINTET_RECORD_DIR   the directory, absolute
 *   QUINTET_RECORD_FILE  where the recording goes; none: nothing is recorded
 *
 * The layout of an event is read by src/file/recording.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, SYNC_START, SYNC_END, TRUNCATE, ALLOCATE, PUNCH, RENAME, UNLINK, WRITE_THROUGH };

struct event {
    uint32_t magic; /* 'Qrec' */
    uint32_t kind;
    uint64_t inode;
    uint64_t offset;
    uint64_t length;
    uint32_t path_bytes;
    uint32_t payload_bytes;
};

#define MAX_FDS 4096
struct tracked {
    int live;
    int dsync;
    int is_dir;
    uint64_t inode;
};
static struct tracked fds[MAX_FDS];
static char root[PATH_MAX];
static size_t root_len;
static int recording = -1;
static long fail_nth = 0;
static int fail_errno = EIO;
static char fail_path[256];
static char fail_when[PATH_MAX];
static atomic_long operations;
static pthread_once_t once = PTHREAD_ONCE_INIT;


static void start(void) {
    const char *dir = getenv("QUINTET_RECORD_DIR"), *file = getenv("QUINTET_RECORD_FILE");
    const char *nth = getenv("QUINTET_FAIL_NTH"), *error = getenv("QUINTET_FAIL_ERRNO");
    const char *path = getenv("QUINTET_FAIL_PATH"), *when = getenv("QUINTET_FAIL_WHEN");
    if (!dir || strlen(dir) >= sizeof root) return;
    strcpy(root, dir);
    root_len = strlen(root);
    if (nth) fail_nth = atol(nth);
    if (error) fail_errno = atoi(error);
    if (path && strlen(path) < sizeof fail_path) strcpy(fail_path, path);
    if (when && strlen(when) < sizeof fail_when) strcpy(fail_when, when);
    if (file) recording = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int below_root(const char *path) {
    return root_len && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == 0);
}

static struct tracked *tracked(int fd) {
    return fd >= 0 && fd < MAX_FDS && fds[fd].live ? &fds[fd] : NULL;
}

static void append(uint32_t kind, uint64_t inode, uint64_t offset, uint64_t length, const char *path,
                   size_t path_bytes, const struct iovec *payload, int parts, size_t payload_bytes) {
    if (recording < 0) return;
    int saved = errno;
    struct event event = {0x63657251, kind, inode, offset, length, (uint32_t)path_bytes, (uint32_t)payload_bytes};
    struct iovec whole[2 + 64];
    int count = 0;
    whole[count++] = (struct iovec){&event, sizeof event};
    if (path_bytes) whole[count++] = (struct iovec){(void *)path, path_bytes};
    size_t left = payload_bytes;
    for (int i = 0; i < parts && left && count < 66; i++) {
        size_t take = payload[i].iov_len < left ? payload[i].iov_len : left;
        whole[count++] = (struct iovec){payload[i].iov_base, take};
        left -= take;
    }
    long want = (long)(sizeof event + path_bytes + payload_bytes);
    if (left || syscall(SYS_writev, recording, whole, count) != want) {
        static const char message[] = "record: the recording could not be written\n";
        (void)!syscall(SYS_write, 2, message, sizeof message - 1);
        abort();
    }
    errno = saved;
}

/* Whether this operation is the one that fails, or comes after it. */
static int fails(int fd) {
    if (!fail_nth) return 0;
    if (fail_when[0] && syscall(SYS_faccessat, AT_FDCWD, fail_when, F_OK) != 0) return 0;
    if (fail_path[0]) {
        char link[64], path[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof path - 1);
        if (n < 0) return 0;
        path[n] = 0;
        if (!strstr(path + root_len, fail_path)) return 0;
    }
    if (atomic_fetch_add(&operations, 1) + 1 < fail_nth) return 0;
    errno = fail_errno;
    return 1;
}

static int opened(int fd, int flags, int existed) {
    if (fd < 0 || fd >= MAX_FDS) return fd;
    char link[64], path[PATH_MAX];
    struct stat st;
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    fds[fd].live = 0;
    if (n > 0) {
        path[n] = 0;
        if (below_root(path) && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
            fds[fd] = (struct tracked){1, (flags & O_DSYNC) != 0, S_ISDIR(st.st_mode), st.st_ino};
            int writable = (flags & O_ACCMODE) != O_RDONLY;
            /* length 1: the file was created by this call */
            if (S_ISDIR(st.st_mode) || writable)
                append(OPEN, st.st_ino, S_ISDIR(st.st_mode), !existed, path, (size_t)n, NULL, 0, 0);
            if (writable && (flags & O_TRUNC) && existed) append(TRUNCATE, st.st_ino, 0, 0, NULL, 0, NULL, 0, 0);
        }
    }
    errno = saved;
    return fd;
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode) {
    pthread_once(&once, start);
    struct stat st;
    int saved = errno;
    int existed = !(flags & O_CREAT) || fstatat(dirfd, path, &st, 0) == 0;
    errno = saved;
    return opened((int)syscall(SYS_openat, dirfd, path, flags, mode), flags, existed);
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int dirfd, const char *path, int flags, ...) { MODE_OF(flags) return open_any(dirfd, path, flags, mode); }
int openat64(int dirfd, const char *path, int flags, ...) { MODE_OF(flags) return open_any(dirfd, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < MAX_FDS) fds[fd].live = 0;
    return (int)syscall(SYS_close, fd);
}

static ssize_t written(struct tracked *file, const struct iovec *iov, int parts, off_t offset, ssize_t n) {
    if (file && n > 0) {
        /* Through O_DSYNC its own bytes are on stable storage when it returns, and no others. */
        uint32_t kind = file->dsync ? WRITE_THROUGH : WRITE;
        append(kind, file->inode, (uint64_t)offset, (uint64_t)n, NULL, 0, iov, parts, (size_t)n);
    }
    return n;
}

#define PWRITE(name, type) \
    ssize_t name(int fd, const void *buf, size_t len, type offset) { \
        struct tracked *file = tracked(fd); \
        if (file && fails(fd)) return -1; \
        struct iovec iov = {(void *)buf, len}; \
        return written(file, &iov, 1, offset, syscall(SYS_pwrite64, fd, buf, len, offset)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, type) \
    ssize_t name(int fd, const struct iovec *iov, int parts, type offset) { \
        struct tracked *file = tracked(fd); \
        if (file && fails(fd)) return -1; \
        return written(file, iov, parts, offset, syscall(SYS_pwritev, fd, iov, parts, offset, 0)); \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

static off_t position(int fd) {
    int flags = fcntl(fd, F_GETFL);
    struct stat st;
    if (flags >= 0 && (flags & O_APPEND)) return fstat(fd, &st) == 0 ? st.st_size : 0;
    return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *buf, size_t len) {
    struct tracked *file = tracked(fd);
    if (!file) return syscall(SYS_write, fd, buf, len);
    if (fails(fd)) return -1;
    off_t offset = position(fd);
    struct iovec iov = {(void *)buf, len};
    return written(file, &iov, 1, offset, syscall(SYS_write, fd, buf, len));
}

ssize_t writev(int fd, const struct iovec *iov, int parts) {
    struct tracked *file = tracked(fd);
    if (!file) return syscall(SYS_writev, fd, iov, parts);
    if (fails(fd)) return -1;
    off_t offset = position(fd);
    return written(file, iov, parts, offset, syscall(SYS_writev, fd, iov, parts));
}

static int sync_any(int fd, long number) {
    struct tracked *file = tracked(fd);
    if (!file) return (int)syscall(number, fd);
    if (fails(fd)) return -1;
    /* The thread tells two syncs of one file apart. */
    uint64_t token = (uint64_t)syscall(SYS_gettid);
    append(SYNC_START, file->inode, token, 0, NULL, 0, NULL, 0, 0);
    int result = (int)syscall(number, fd);
    if (result == 0) append(SYNC_END, file->inode, token, 0, NULL, 0, NULL, 0, 0);
    return result;
}
int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

#define FTRUNCATE(name, type) \
    int name(int fd, type len) { \
        struct tracked *file = tracked(fd); \
        if (file && fails(fd)) return -1; \
        int result = (int)syscall(SYS_ftruncate, fd, len); \
        if (file && result == 0) append(TRUNCATE, file->inode, 0, (uint64_t)len, NULL, 0, NULL, 0, 0); \
        return result; \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

static int allocated(int fd, int mode, uint64_t offset, uint64_t len) {
    struct tracked *file = tracked(fd);
    if (file && fails(fd)) return -1;
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, len);
    if (file && result == 0) {
        if (mode & FALLOC_FL_PUNCH_HOLE) append(PUNCH, file->inode, offset, len, NULL, 0, NULL, 0, 0);
        else if (!(mode & FALLOC_FL_KEEP_SIZE)) append(ALLOCATE, file->inode, offset, len, NULL, 0, NULL, 0, 0);
    }
    return result;
}
int fallocate(int fd, int mode, off_t offset, off_t len) { return allocated(fd, mode, (uint64_t)offset, (uint64_t)len); }
int fallocate64(int fd, int mode, off64_t offset, off64_t len) { return allocated(fd, mode, (uint64_t)offset, (uint64_t)len); }
int posix_fallocate(int fd, off_t offset, off_t len) { return allocated(fd, 0, (uint64_t)offset, (uint64_t)len) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t len) { return allocated(fd, 0, (uint64_t)offset, (uint64_t)len) ? errno : 0; }

/* Paths given to these are absolute when they are ours: the store opens its directories by absolute path. */
int rename(const char *from, const char *to) {
    pthread_once(&once, start);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0 && below_root(from)) {
        struct iovec target = {(void *)to, strlen(to)};
        append(RENAME, 0, 0, 0, from, strlen(from), &target, 1, strlen(to));
    }
    return result;
}

int unlink(const char *path) {
    pthread_once(&once, start);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0 && below_root(path)) append(UNLINK, 0, 0, 0, path, strlen(path), NULL, 0, 0);
    return result;
}
