//! [`Guard`]: who may read and write what, decided inside the snapshot or the writer's transaction that the operation runs
//! in, so that nothing can change in between. Security rules are one.

use crate::{Path, Query, TreeError, View};
use serde_json::Value;

/// A read that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReadAccess<'a> {
    /// What is read.
    pub path: &'a Path,
    /// Which of its children, if not all.
    pub query: Option<&'a Query>,
    /// The time of day, in ms since 1970.
    pub now_ms: u64,
}

/// A write that is asked for, already carried out on a copy.
#[derive(Clone, Copy, Debug)]
pub struct WriteAccess<'a> {
    /// Every place that is replaced, with what is there afterwards (null = nothing). None lies within another. Of an update
    /// that names none: where it was made, with what is there.
    pub changes: &'a [(Path, Value)],
    /// The time of day, in ms since 1970: the same that server values became.
    pub now_ms: u64,
}

/// Allows or refuses operations. It is asked on the thread that carries them out, and the writer waits for it: it must not
/// block.
pub trait Guard: Send + Sync {
    /// Whether this may be read; `root` is what would be read from.
    ///
    /// # Errors
    /// [`TreeError::Denied`] or any other error: nothing is answered.
    fn check_read(&self, access: &ReadAccess<'_>, root: &View<'_>) -> Result<(), TreeError>;

    /// Whether [`check_read`](Self::check_read) of `path` may come out otherwise when nothing but the tree or the time
    /// is another: then whoever watches the path asks again before each event. Costs no look at the tree.
    fn read_depends_on_state(&self, path: &Path) -> bool {
        let _any = path;
        true
    }

    /// Whether this may be written; `before` and `after` are the whole tree without and with it.
    ///
    /// # Errors
    /// [`TreeError::Denied`] or any other error: nothing is written.
    fn check_write(
        &self,
        access: &WriteAccess<'_>,
        before: &View<'_>,
        after: &View<'_>,
    ) -> Result<(), TreeError>;
}
