//! A store with transactions as a subject: a batch of writes is one transaction, a read is one of its own.
//!
//! Two ways to drive it: each client's thread writes for itself, as a program would that just calls the library; or one
//! writer gathers what all clients want into one commit, as this project's engines do.

use super::{
    session::{Beside, CREDITS, Session},
    subject::{Engine, Native, Served, seen},
};
use quintet_core::{
    Commit, Completion, Error, ErrorKind, Inline, Keyed, KeyedReply, MessageHandler, Parker, Request,
    Result as CoreResult, rtrb_queue::RtrbQueue,
};
use std::sync::Arc;

/// A write transaction's table.
pub(crate) trait Table {
    /// The value as this transaction sees it.
    ///
    /// # Errors
    /// What the store answers.
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>>;
    /// Sets the value.
    ///
    /// # Errors
    /// What the store answers.
    fn put(&mut self, key: &[u8], value: &[u8]) -> anyhow::Result<()>;
    /// Removes the key; whether it was there.
    ///
    /// # Errors
    /// What the store answers.
    fn delete(&mut self, key: &[u8]) -> anyhow::Result<bool>;
}

/// A store with transactions.
pub(crate) trait Transact: Send + Sync + 'static {
    /// Calls `look` on the committed value, in a read transaction of its own.
    ///
    /// # Errors
    /// What the store answers.
    fn read(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> anyhow::Result<()>;
    /// Runs `work` in a write transaction and commits it; waits while another one runs.
    ///
    /// # Errors
    /// What `work` or the store answers; nothing is changed then.
    fn write(&self, work: &mut dyn FnMut(&mut dyn Table) -> anyhow::Result<()>) -> anyhow::Result<()>;
}

fn io(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, error.to_string())
}

fn find<S: Transact>(store: &S, key: &[u8]) -> CoreResult<Option<Vec<u8>>> {
    let mut found = None;
    store
        .read(key, &mut |value| found = Some(value.to_vec()))
        .map_err(io)?;
    Ok(found)
}

/// Each batch of writes is one transaction, committed before `handle_batch` returns.
struct Handler<S>(Arc<S>);

fn apply(table: &mut dyn Table, message: &Keyed) -> anyhow::Result<CoreResult<KeyedReply>> {
    Ok(Ok(match message {
        Keyed::Get { key } => KeyedReply::Value(table.get(key)?),
        Keyed::Put { key, value } => {
            table.put(key, value)?;
            KeyedReply::Stored
        }
        Keyed::Add { key, delta } => match Keyed::add_to(table.get(key)?.as_deref(), *delta) {
            Ok(sum) => {
                table.put(key, &sum.to_le_bytes())?;
                KeyedReply::Sum(sum)
            }
            Err(refused) => return Ok(Err(refused)),
        },
        Keyed::Delete { key } => KeyedReply::Deleted(table.delete(key)?),
    }))
}

impl<S: Transact> MessageHandler<Keyed> for Handler<S> {
    fn handle(&mut self, message: Keyed) -> CoreResult<KeyedReply> {
        if let Keyed::Get { key } = &message {
            return find(&*self.0, key).map(KeyedReply::Value);
        }
        let mut reply = Err(Error::new(ErrorKind::Io, "the transaction did not run"));
        let done = self.0.write(&mut |table| {
            reply = apply(table, &message)?;
            Ok(())
        });
        done.map_err(io)?;
        reply
    }

    fn commit(&mut self) -> CoreResult<Commit> {
        Ok(Commit::Done)
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<Keyed>>, out: &mut Vec<Completion<Keyed>>) {
        batch.sort_by_key(|request| quintet_core::Message::rank(&request.message));
        let writes =
            batch.split_off(batch.partition_point(|request| matches!(request.message, Keyed::Get { .. })));
        for Request { id, message } in batch.drain(..) {
            out.push(Completion {
                id,
                result: self.handle(message),
            });
        }
        if writes.is_empty() {
            return;
        }
        let from = out.len();
        let done = self.0.write(&mut |table| {
            for Request { id, message } in &writes {
                let result = apply(table, message)?;
                out.push(Completion { id: *id, result });
            }
            Ok(())
        });
        if let Err(error) = done {
            let error = io(error);
            out.truncate(from);
            out.extend(writes.iter().map(|request| Completion {
                id: request.id,
                result: Err(error.clone()),
            }));
        }
    }
}

/// Every client's thread runs its own transactions.
pub(crate) struct EachForItself<S>(pub Arc<S>);

impl<S: Transact> Engine for EachForItself<S> {
    fn connect(&self) -> anyhow::Result<Session> {
        Ok(Session::inline(Inline::new(
            Handler(Arc::clone(&self.0)),
            CREDITS,
        )))
    }

    fn native(&self) -> anyhow::Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct(&*self.0)))
    }
}

/// One writer commits for all; readers read beside it.
pub(crate) struct OneWriter<S> {
    store: Arc<S>,
    writer: Served,
}

impl<S: Transact> OneWriter<S> {
    /// Starts the writer.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub(crate) fn start(store: Arc<S>) -> anyhow::Result<Self> {
        let handler = Handler(Arc::clone(&store));
        let writer = Served::start(move |_| Ok(handler))?;
        Ok(Self { store, writer })
    }
}

impl<S: Transact> Engine for OneWriter<S> {
    fn connect(&self) -> anyhow::Result<Session> {
        let parker = Parker::new();
        let writer = self
            .writer
            .connector()
            .connect::<RtrbQueue>(CREDITS, parker.doorbell());
        let writer = writer.map_err(|_| anyhow::anyhow!("the writer has ended"))?;
        let store = Arc::clone(&self.store);
        Ok(Session::parked(
            Beside::new(move |key: &[u8]| find(&*store, key), writer),
            parker,
        ))
    }

    fn native(&self) -> anyhow::Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct(&*self.store)))
    }
}

/// The store's own calls.
struct Direct<'a, S>(&'a S);

impl<S: Transact> Native for Direct<'_, S> {
    fn get(&mut self, key: &[u8], mark: u64) -> anyhow::Result<Option<(usize, bool)>> {
        let mut found = None;
        self.0.read(key, &mut |value| found = Some(seen(value, mark)))?;
        Ok(found)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.0.write(&mut |table| table.put(key, value))
    }

    fn add(&mut self, key: &[u8], delta: i64) -> anyhow::Result<()> {
        self.0.write(&mut |table| {
            let sum = Keyed::add_to(table.get(key)?.as_deref(), delta)?;
            table.put(key, &sum.to_le_bytes())
        })
    }
}
