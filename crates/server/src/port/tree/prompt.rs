//! [`Prompt`]: whether small reads are done where they come in, on threads that move bytes and must not be held up.
//!
//! A read that took long was one of three: it waited for the disk, because LMDB's pages are a map of the file; its rules are
//! long; or its thread lost the processor to another. The first will come again, and sends all reads to the pool for a
//! second. The others cost what they cost anywhere: those are sent away for a moment, so that a busy machine does not pay the
//! way to the pool for a second each time that a thread loses its turn in a read. Called by `face`.

use std::{
    cell::Cell,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A read that took longer is asked why.
const LONG: Duration = Duration::from_millis(1);
/// How long none is done here after one that waited for the disk.
const AFTER_DISK: Duration = Duration::from_secs(1);
/// And after any other that took long.
const AFTER_OTHERS: Duration = Duration::from_millis(10);

thread_local! {
    /// How often this thread had waited for the disk when it was last asked.
    static WAITED: Cell<u64> = const { Cell::new(0) };
}

/// Until when reads go elsewhere.
pub(super) struct Prompt {
    began: Instant,
    /// Counted from `began`, in µs.
    until_us: AtomicU64,
}

impl Prompt {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            until_us: AtomicU64::new(0),
        }
    }

    fn us(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether a read may be done here now.
    pub(super) fn is_now(&self, now: Instant) -> bool {
        self.us(now) >= self.until_us.load(Ordering::Relaxed)
    }

    /// A read was done here, by this thread.
    pub(super) fn took(&self, begun: Instant, ended: Instant) {
        if ended.saturating_duration_since(begun) > LONG {
            self.rest(ended, has_waited_for_the_disk());
        }
    }

    fn rest(&self, ended: Instant, waited: bool) {
        let rest = if waited { AFTER_DISK } else { AFTER_OTHERS };
        self.until_us.fetch_max(self.us(ended + rest), Ordering::Relaxed);
    }
}

/// Whether this thread has waited for a page of a file since it was last asked. Where the system does not tell, it has.
fn has_waited_for_the_disk() -> bool {
    let stat = fs::read_to_string("/proc/thread-self/stat").ok();
    stat.as_deref()
        .and_then(major_faults)
        .is_none_or(|faults| WAITED.replace(faults) != faults)
}

/// The tenth field behind the name, which is in parentheses and may contain anything.
fn major_faults(stat: &str) -> Option<u64> {
    let (_name, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_core::{Clock as _, SystemClock};

    #[test]
    fn reads_go_elsewhere_for_a_second_after_the_disk_and_for_a_moment_after_others() {
        let began = SystemClock.now();
        let after = |ms| began + Duration::from_millis(ms);
        let prompt = Prompt::new(began);
        prompt.took(after(5), after(6));
        assert!(prompt.is_now(after(6)), "that was not long");
        prompt.rest(after(10), false);
        assert!(!prompt.is_now(after(19)));
        assert!(prompt.is_now(after(20)));
        prompt.rest(after(20), true);
        prompt.rest(after(21), false);
        assert!(!prompt.is_now(after(1019)), "the longer rest counts");
        assert!(prompt.is_now(after(1020)));
    }

    #[test]
    fn the_faults_of_a_thread_are_found_behind_any_name() {
        let stat = "71 (a) b (c) S 1 2 3 4 5 6 7 8 42 10 11";
        assert_eq!(major_faults(stat), Some(42));
        assert_eq!(major_faults("71 (a"), None);
        #[cfg(target_os = "linux")]
        assert!(fs::read_to_string("/proc/thread-self/stat").is_ok_and(|stat| major_faults(&stat).is_some()));
    }
}
