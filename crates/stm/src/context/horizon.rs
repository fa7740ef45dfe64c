//! [`Horizon`]: up to which version the commits of a durable context are as durable as its log's level asks.
//!
//! Commits become visible to other transactions before they are durable, so that nobody waits for a sync while a key is
//! sealed. What may not happen is that such a value gets *out*: a reply that a power cut can still refute. So whoever
//! replies first waits until the horizon has reached all that the reply rests on: the stamps of what was read, and the
//! version of what was written. Versions enter in the order of the log's records, so one number tells.
//!
//! After a failed sync the horizon stands still, and whatever rests on something beyond it is refused.

use crate::{Error, Result, primitive::lock};
use quintet_core::{Commit, Seq};
use quintet_log::Log;
use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug)]
pub(super) struct Horizon {
    version: AtomicU64,
    /// Records beyond the horizon, in order, with the versions they make. One for each commit that is on its way.
    ahead: Mutex<VecDeque<(Seq, u64)>>,
}

impl Horizon {
    /// `version` is durable. Without a log everything is: there is no promise to wait for.
    pub(super) const fn new(version: u64, has_log: bool) -> Self {
        Self {
            version: AtomicU64::new(if has_log { version } else { u64::MAX }),
            ahead: Mutex::new(VecDeque::new()),
        }
    }

    /// A record that makes a version was appended. In the order of both.
    pub(super) fn appended(&self, seq: Seq, version: u64) {
        lock(&self.ahead).push_back((seq, version));
    }

    /// The last version that may be reported now; `u64::MAX` without a log. Does not wait.
    pub(super) fn version(&self, log: Option<&Log>) -> u64 {
        if let Some(log) = log
            && let Ok(durable) = log.durable()
        {
            self.advance(durable);
        }
        self.version.load(Ordering::Acquire)
    }

    /// Whether a version may be reported, as far as is known without asking the log. One load.
    #[inline]
    pub(super) fn covers(&self, version: u64) -> bool {
        version <= self.version.load(Ordering::Acquire)
    }

    /// Waits until a version may be reported.
    ///
    /// # Errors
    /// [`Error::Log`] when it never may be, because a write or sync has failed.
    pub(super) fn reach(&self, log: &Log, version: u64) -> Result<()> {
        if self.covers(version) {
            return Ok(());
        }
        let wanted = {
            let ahead = lock(&self.ahead);
            let first = ahead.partition_point(|(_, made)| *made < version);
            ahead.get(first).or(ahead.back()).map(|(seq, _)| *seq)
        };
        // Nothing ahead: another one has advanced meanwhile.
        let Some(wanted) = wanted else { return Ok(()) };
        match log.commit().map_err(Error::Log)? {
            Commit::Done => {}
            Commit::Pending(_) => log.wait_durable(wanted, None).map_err(Error::Log)?,
        }
        self.advance(log.durable().map_err(Error::Log)?);
        Ok(())
    }

    fn advance(&self, durable: Seq) {
        let mut ahead = lock(&self.ahead);
        while let Some((seq, version)) = ahead.front()
            && *seq <= durable
        {
            self.version.store(*version, Ordering::Release);
            ahead.pop_front();
        }
    }
}
