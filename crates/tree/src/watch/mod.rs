//! Watching: what a place holds, then every change of it, once each, in commit order.
//!
//! The writer hands committed writes to the `hub`, whose one thread finds the watchers concerned and fills their bounded
//! queues; so the writer waits for nobody, and thousands of watchers need no thread each. A watcher whose queue is full is
//! told so and reads again.

mod event;
pub(crate) mod hub;
mod subscriber;

pub use event::{Event, EventKind};

use crate::{Path, Reader, TreeError};
use hub::Hub;
use quintet_core::Seq;
use serde_json::Value;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use subscriber::Subscriber;

/// What a place held when a watch began.
#[derive(Clone, Debug, PartialEq)]
pub struct Initial {
    /// The document; null when there is nothing.
    pub value: Value,
    /// The last write that it shows; the events that follow are of later ones.
    pub seq: Seq,
}

/// What a watch says next.
#[derive(Clone, Debug)]
pub enum Next {
    /// Something changed.
    Event(Arc<Event>),
    /// More changed than the queue holds. [`Watch::reread`], then events go on.
    Overflow,
}

/// A watch on one place. Dropping it ends it.
pub struct Watch {
    reader: Reader,
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
}

impl Watch {
    /// Begins a watch. Without a first document it resumed: nothing is missing after the given write.
    pub(crate) fn begin(
        reader: Reader,
        hub: Arc<Hub>,
        path: &Path,
        after: Option<Seq>,
    ) -> Result<(Option<Initial>, Self), TreeError> {
        reader.may_read(path)?;
        let (subscriber, resumed) = hub.register(path, after)?;
        let watch = Self {
            reader,
            hub,
            subscriber,
        };
        if resumed {
            return Ok((None, watch));
        }
        let initial = watch.reread()?;
        Ok((Some(initial), watch))
    }

    /// Begins a watch that says nothing of what is there.
    pub(crate) fn begin_now(reader: Reader, hub: Arc<Hub>, path: &Path) -> Result<Self, TreeError> {
        let (subscriber, _reads_first) = hub.register(path, None)?;
        let watch = Self {
            reader,
            hub,
            subscriber,
        };
        watch.skip()?;
        Ok(watch)
    }

    /// The place.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.subscriber.path()
    }

    /// What is next; `None` when the tree is closed. Wakes the task when there is something.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        self.subscriber.poll(context)
    }

    /// What is next; `None` when the tree is closed.
    pub async fn next(&mut self) -> Option<Next> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Waits for what is next, blocking the thread; `None` when the tree is closed.
    pub fn next_blocking(&mut self) -> Option<Next> {
        crate::block_on::block_on(self.next())
    }

    /// Reads the place again and forgets what was queued: the events that follow are of later writes. Blocks for a read.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn reread(&self) -> Result<Initial, TreeError> {
        // From here on events are queued; the snapshot is taken after that, so that none between the two is missed.
        self.subscriber.restart();
        let (value, seq) = self.reader.get_with_seq(self.path())?;
        self.subscriber.started(seq);
        Ok(Initial { value, seq })
    }

    /// Whether what the guard allowed at the beginning can be another matter by now, for the same user and the same
    /// guard. Then [`check`](Self::check) before an event is handed on. Cheap.
    #[must_use]
    pub fn depends_on_state(&self) -> bool {
        self.reader.depends_on_state(self.path())
    }

    /// Asks the guard, as the tree is now, whether the place may still be read. Blocks for what the guard looks at.
    ///
    /// # Errors
    /// What the guard answers.
    pub fn check(&self) -> Result<(), TreeError> {
        self.reader.may_read(self.path())
    }

    /// Forgets what was queued and goes on with the writes after the one that is answered, without reading the place: for
    /// who reads it in parts. Asks the guard as a read does.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn skip(&self) -> Result<Seq, TreeError> {
        self.subscriber.restart();
        let seq = self.reader.seq_if_allowed(self.path())?;
        self.subscriber.started(seq);
        Ok(seq)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.unregister(&self.subscriber);
    }
}
