//! [`Reader`]: reads of committed state, each in a snapshot of its own that ends with the call. Clonable, for any thread.

use crate::{
    ETag, Guard, Initial, Listing, Path, Query, TreeError, View, Watch,
    guard::ReadAccess,
    inner::Inner,
    query::{self, Answer},
    view::Budget,
};
use quintet_core::Seq;
use serde_json::Value;
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

/// Reads what is committed. No call waits for the writer; each takes a reader's slot while it runs.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
    guard: Option<Arc<dyn Guard>>,
}

impl Reader {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, guard: None }
    }

    /// The same reads, each only if `guard` allows it.
    #[must_use]
    pub fn guarded(&self, guard: Arc<dyn Guard>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            guard: Some(guard),
        }
    }

    fn access<T>(
        &self,
        path: &Path,
        query: Option<&Query>,
        read: impl FnOnce(&View<'_>) -> Result<T, TreeError>,
    ) -> Result<T, TreeError> {
        self.inner.read(|view| {
            if let Some(guard) = &self.guard {
                let access = ReadAccess {
                    path,
                    query,
                    now_ms: self.inner.now_ms(),
                };
                guard.check_read(&access, view)?;
            }
            read(view)
        })
    }

    /// The document at `path`; null when there is nothing.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] beyond `max_read_bytes`, `Busy` when every reader's slot is in use, `Corrupted`, what LMDB
    /// answers; what the guard answers.
    pub fn get(&self, path: &Path) -> Result<Value, TreeError> {
        self.access(path, None, |view| view.get(path))
    }

    /// The document as compact JSON text: cheaper than [`get`](Self::get) for whoever sends it on.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_json(&self, path: &Path) -> Result<Vec<u8>, TreeError> {
        self.access(path, None, |view| view.get_json(path))
    }

    /// As [`get_json`](Self::get_json) if that takes no more than `max_bytes` of rows, names included; `None` = it takes
    /// more. For a thread that must not be held up: what is beyond is not looked at.
    ///
    /// # Errors
    /// As [`get_json`](Self::get_json).
    pub fn get_small_json(&self, path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, TreeError> {
        self.access(path, None, |view| {
            match view.get_json_within(path, &mut Budget::of(max_bytes)) {
                Err(TreeError::TooLarge { .. }) => Ok(None),
                answer => answer.map(Some),
            }
        })
    }

    /// The document's text and its tag, of the same moment.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_json_with_etag(&self, path: &Path) -> Result<(Vec<u8>, ETag), TreeError> {
        self.access(path, None, |view| Ok((view.get_json(path)?, view.etag(path)?)))
    }

    /// Writes the document as compact JSON text, however large it is, and answers how many leaves it has. All of it is of
    /// one moment, so a snapshot is held as long as `out` takes: give it a file, not a client.
    ///
    /// # Errors
    /// What LMDB, the guard and `out` answer; what was written by then stays.
    pub fn export(&self, path: &Path, out: &mut dyn io::Write) -> Result<u64, TreeError> {
        self.access(path, None, |view| view.export(path, out))
    }

    /// The document with `depth` levels; deeper containers are `true`. Depth 1 is Firebase's *shallow*.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_shallow(&self, path: &Path, depth: usize) -> Result<Value, TreeError> {
        self.access(path, None, |view| view.get_shallow(path, depth))
    }

    /// At most `limit` children of `path`, one level deep, from behind the name `after` on: a page for who looks around.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn listing(&self, path: &Path, after: Option<&str>, limit: usize) -> Result<Listing, TreeError> {
        self.access(path, None, |view| view.listing(path, after, limit))
    }

    /// The document and its tag, of the same moment.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with_etag(&self, path: &Path) -> Result<(Value, ETag), TreeError> {
        self.access(path, None, |view| Ok((view.get(path)?, view.etag(path)?)))
    }

    /// The document and the sequence of the last write that it can show.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with_seq(&self, path: &Path) -> Result<(Value, Seq), TreeError> {
        self.access(path, None, |view| Ok((view.get(path)?, view.seq()?)))
    }

    /// The children of `path` that `query` asks for.
    ///
    /// # Errors
    /// [`TreeError::Query`] when it makes no sense, [`TreeError::Unindexed`] when it would scan too much; as
    /// [`get`](Self::get).
    pub fn query(&self, path: &Path, query: &Query) -> Result<Answer, TreeError> {
        let answer = self.access(path, Some(query), |view| {
            query::run::run(view, &self.inner.indexes(), path, query)
        })?;
        if answer.unindexed_rows.is_some() {
            self.inner.stats.unindexed_queries.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Begins a watch on `path`: what is there now, then every later change once, in commit order. With `after`, the number
    /// of the last write that an earlier watch saw, it goes on right behind that and answers no first document, if the
    /// writes in between are still retained. A guard is asked at each read, not at each event: see
    /// [`Watch::depends_on_state`].
    ///
    /// # Errors
    /// [`TreeError::Busy`] when there are `max_watches`; [`TreeError::Closed`]; as [`get`](Self::get).
    pub fn watch(&self, path: &Path, after: Option<Seq>) -> Result<(Option<Initial>, Watch), TreeError> {
        let hub = self.inner.hub.get().ok_or(TreeError::Closed)?;
        Watch::begin(self.clone(), Arc::clone(hub), path, after)
    }

    /// Begins a watch on `path` without reading it: every change from now on, once, in commit order. For places that are
    /// too large to be read whole; what they hold is asked for in parts, after this.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn changes(&self, path: &Path) -> Result<Watch, TreeError> {
        let hub = self.inner.hub.get().ok_or(TreeError::Closed)?;
        Watch::begin_now(self.clone(), Arc::clone(hub), path)
    }

    /// Asks the guard whether `path` may be read.
    pub(crate) fn may_read(&self, path: &Path) -> Result<(), TreeError> {
        self.access(path, None, |_| Ok(()))
    }

    /// Whether the guard's answer about reading `path` can change with the tree or the time.
    pub(crate) fn depends_on_state(&self, path: &Path) -> bool {
        let guard = self.guard.as_ref();
        guard.is_some_and(|guard| guard.read_depends_on_state(path))
    }

    /// The last committed write, if the guard lets `path` be read.
    pub(crate) fn seq_if_allowed(&self, path: &Path) -> Result<Seq, TreeError> {
        self.access(path, None, |view| view.seq())
    }

    /// Several reads of one moment. The snapshot ends with the call; no guard is asked.
    ///
    /// # Errors
    /// What `read` answers, or why there is no snapshot.
    pub fn view<T>(&self, read: impl FnOnce(&View<'_>) -> Result<T, TreeError>) -> Result<T, TreeError> {
        self.inner.read(read)
    }
}

/// The row under which a leaf is found: what LMDB alone would be asked for.
#[cfg(feature = "testing")]
pub struct RawKey(Vec<u8>);

#[cfg(feature = "testing")]
impl RawKey {
    /// The row of the leaf at `path`, which is not longer than a row's key.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(crate::view::leaf_key(path))
    }
}

#[cfg(feature = "testing")]
impl Reader {
    /// The length of a row: a transaction and a look-up, and nothing of the tree. For comparisons.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn raw_len(&self, key: &RawKey) -> Result<Option<usize>, TreeError> {
        Ok(self.inner.lmdb.snapshot()?.find(&key.0)?.map(<[u8]>::len))
    }
}
