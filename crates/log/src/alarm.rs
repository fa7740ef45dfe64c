//! [`Alarm`]: how whoever writes to a log's companions says that the disk refused the bytes.
//!
//! A write that fails is not only the writer's trouble: what was written before to the same file, and is not synced yet, may
//! be lost as well. So the log is poisoned as if the write had been its own, and everybody who waits for it is told at once.

use crate::writer::Shared;
use quintet_core::{Error, ErrorKind};
use std::{fmt, sync::Weak};

/// Poisons a log. Does not keep it open; cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct Alarm {
    shared: Weak<Shared>,
}

impl Alarm {
    pub(crate) const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }

    /// Tells the log that a write to one of its [`companions`](crate::LogConfig::companions) failed, and why. It is
    /// [poisoned](crate::Log) from then on, unless the disk is merely full: then nothing is in doubt. Does not block; no
    /// effect on a log that is gone.
    pub fn raise(&self, error: &Error) {
        if error.kind() == ErrorKind::Full {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.poison(error.clone());
        }
    }

    /// Whether the log is poisoned, for whatever reason. For those who only watch: what the log does on its own thread fails
    /// without anybody asking. One atomic load.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.shared
            .upgrade()
            .is_some_and(|shared| shared.check().is_err())
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}
