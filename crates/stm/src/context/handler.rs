//! [`ContextHandler`]: a context as a [`MessageHandler`] of [`Keyed`], for any level; run it with
//! [`Inline`](quintet_core::Inline), one a thread.
//!
//! What is handled between two commits is one transaction. Its replies are given before it commits, so it must not lose
//! afterwards: it holds a ticket like an aged transaction and reserves what it touches, and others that want the same
//! keys wait for its commit. A put alone answers the same whatever is there, so it needs no ticket: it is kept until the
//! commit and then is a transaction like any other. A key is kept as bytes at `keyed.k` and its hexadecimal digits.
//!
//! The level decides what the commit does: safe and hybrid ones are checked by the schema and recorded; raw ones are
//! neither (but a durable context records all).

use super::{Context, state::State, value::Value, zone::Zone};
use crate::{
    Error, Isolation, Transaction,
    label::Label,
    transaction::{Abort, Cause},
};
use quintet_core::{Commit, ErrorKind, Keyed, KeyedReply, MessageHandler, Result};
use std::fmt;

/// Answers [`Keyed`] from a context. Clones of the context may be handled by others at the same time.
///
/// ```
/// use quintet_core::{Inline, Keyed, KeyedReply, Worker};
/// use quintet_stm::{Context, ContextHandler, Isolation};
/// use std::num::NonZeroUsize;
///
/// let context = Context::new("hits");
/// let mut worker = Inline::new(ContextHandler::new(&context, Isolation::Hybrid), NonZeroUsize::MIN);
/// worker.submit(Keyed::Add { key: b"page".to_vec(), delta: 1 }).unwrap();
/// worker.flush().unwrap();
/// let mut done = Vec::new();
/// worker.reap(&mut done, 1).unwrap();
/// assert_eq!(done[0].result.as_ref().unwrap(), &KeyedReply::Sum(1));
/// ```
pub struct ContextHandler {
    context: Context,
    isolation: Isolation,
    state: State,
    /// A ticket is held.
    open: bool,
    /// The path that the last message named; its memory is used again.
    path: String,
    /// What is put there by the only message so far.
    lone: Option<Value>,
    /// Why the batch cannot be committed.
    broken: Option<quintet_core::Error>,
    #[cfg(feature = "testing")]
    fail_next_commit: bool,
}

impl ContextHandler {
    /// A handler whose commits are of this level.
    #[must_use]
    pub fn new(context: &Context, isolation: Isolation) -> Self {
        Self {
            context: context.clone(),
            isolation,
            // Inside, everything is read as one moment and buffered, also for raw: replies come before the commit.
            state: State::new(Isolation::Safe, true, Label::of("keyed")),
            open: false,
            path: String::new(),
            lone: None,
            broken: None,
            #[cfg(feature = "testing")]
            fail_next_commit: false,
        }
    }

    /// The next commit fails, once, and undoes what it held.
    #[cfg(feature = "testing")]
    pub fn fail_next_commit(&mut self) {
        self.fail_next_commit = true;
    }

    /// Starts a batch if none is open; a put that was alone becomes its first write.
    fn open(&mut self) -> Result<()> {
        if self.open {
            return Ok(());
        }
        if !self.context.shared.domain.tickets.enter() {
            return Err(quintet_core::Error::new(
                ErrorKind::Unavailable,
                "another handler on this thread has uncommitted writes in the same context",
            ));
        }
        self.open = true;
        self.state.isolation = Isolation::Safe;
        self.state.begin(&self.context.shared, true);
        let Some(value) = self.lone.take() else {
            return Ok(());
        };
        let put = self.state.put(&self.context.shared, &self.path, Some(value));
        put.map_err(refusal).inspect_err(|error| {
            // Its reply was given: the commit takes it back.
            self.broken = Some(error.clone());
        })
    }

    /// Ends the batch, with nothing of it left.
    fn end(&mut self) {
        (self.lone, self.broken) = (None, None);
        if std::mem::take(&mut self.open) {
            self.state.clear();
            self.state.reads.end();
            self.context.shared.domain.tickets.leave();
        }
    }

    /// Keeps a put for the commit, if it is the first message of its batch.
    fn keep_lone(&mut self, value: Vec<u8>) -> Result<KeyedReply> {
        let value = Value::from(value);
        let shared = &self.context.shared;
        shared.check_size(&self.path, Zone::Data, &value)?;
        self.lone = Some(value);
        Ok(KeyedReply::Stored)
    }

    /// What a lone put is, once it is committed.
    fn commit_lone(&mut self, value: &Value) -> Result<()> {
        let how = Transaction::new(self.isolation).by(self.state.label).admin();
        let path = self.path.as_str();
        let put = self.context.transact(&how, |tx| tx.set(path, value.clone()));
        put?;
        Ok(())
    }

    fn write(&mut self, message: Keyed) -> Result<KeyedReply, Abort> {
        let (shared, path) = (&self.context.shared, self.path.as_str());
        match message {
            Keyed::Put { value, .. } => {
                self.state.put(shared, path, Some(Value::from(value)))?;
                Ok(KeyedReply::Stored)
            }
            Keyed::Add { delta, .. } => {
                let current = self.state.get(shared, path)?;
                let sum = Keyed::add_to(bytes_of(path, current.as_ref())?, delta)?;
                let sum_bytes = Value::from(sum.to_le_bytes().to_vec());
                self.state.put(shared, path, Some(sum_bytes))?;
                Ok(KeyedReply::Sum(sum))
            }
            Keyed::Delete { .. } => {
                let is_there = self.state.get(shared, path)?.is_some();
                if is_there {
                    self.state.put(shared, path, None)?;
                }
                Ok(KeyedReply::Deleted(is_there))
            }
            Keyed::Get { .. } => Err(Abort::failed(Error::InvalidOperation {
                at: path.to_owned(),
                reason: "a read is not a write".into(),
            })),
        }
    }
}

/// Writes the path of a key.
fn name(path: &mut String, key: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    path.clear();
    path.push_str("keyed.k");
    path.extend(key.iter().flat_map(|byte| {
        let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
        [digit(byte >> 4), digit(*byte)]
    }));
}

fn bytes_of<'a>(path: &str, value: Option<&'a Value>) -> Result<Option<&'a [u8]>, Error> {
    match value {
        None => Ok(None),
        Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
        Some(other) => Err(Error::TypeClash {
            path: path.to_owned(),
            expected: "bytes".into(),
            found: other.kind().into(),
        }),
    }
}

fn refusal(abort: Abort) -> quintet_core::Error {
    match abort.0 {
        Cause::Failed(error) => match *error {
            // An error of the vocabulary's own, on its way through the transaction.
            Error::Body(cause) => match cause.downcast_ref::<quintet_core::Error>() {
                Some(own) => own.clone(),
                None => Error::Body(cause).into(),
            },
            error => error.into(),
        },
        Cause::Conflict | Cause::Retry => {
            quintet_core::Error::new(ErrorKind::Conflict, "a reserved key changed")
        }
    }
}

impl MessageHandler<Keyed> for ContextHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        if let Keyed::Get { key } = &message {
            // A put that is alone keeps its path.
            let mut own = String::new();
            let path = if self.lone.is_some() {
                &mut own
            } else {
                &mut self.path
            };
            name(path, key);
            let value = self.context.get(path)?;
            return Ok(KeyedReply::Value(
                bytes_of(path, value.as_ref())?.map(<[u8]>::to_vec),
            ));
        }
        if !self.open && self.lone.is_none() {
            name(&mut self.path, message.key());
            if let Keyed::Put { value, .. } = message {
                return self.keep_lone(value);
            }
        }
        self.open()?;
        name(&mut self.path, message.key());
        let result = self.write(message).map_err(refusal);
        if result.is_err() {
            // A refusal leaves without a commit.
            let rests_on = self.state.rests_on();
            if self.state.is_empty() {
                self.end();
            }
            self.context.shared.settle(rests_on)?;
        }
        result
    }

    fn commit(&mut self) -> Result<Commit> {
        if !self.open && self.lone.is_none() {
            return Ok(Commit::Done);
        }
        #[cfg(feature = "testing")]
        if std::mem::take(&mut self.fail_next_commit) {
            self.end();
            return Err(quintet_core::Error::new(
                ErrorKind::Io,
                "a test made this commit fail",
            ));
        }
        if let Some(error) = self.broken.take() {
            self.end();
            return Err(error);
        }
        if let Some(value) = self.lone.take() {
            return self.commit_lone(&value).map(|()| Commit::Done);
        }
        self.state.isolation = self.isolation;
        let committed = self.state.commit(&self.context.shared);
        let rests_on = self.state.rests_on();
        self.end();
        committed.map_err(refusal)?;
        self.context.shared.settle(rests_on)?;
        Ok(Commit::Done)
    }
}

impl Drop for ContextHandler {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for ContextHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextHandler")
            .field("context", &self.context)
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}
