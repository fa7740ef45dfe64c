//! [`KvHandler`]: the message that all engines answer, on a store. Clone the store, give each thread a handler of its own
//! inside a [`quintet_core::Inline`].
//!
//! A batch is planned on the side and done at the commit in one transaction: until then nobody sees anything of it. Batches
//! take turns. Somebody who changes the same keys of the store directly meanwhile makes the commit fail with `Conflict`.

use crate::{KvError, Store, effect::Effect, error::show, value::Value};
use quintet_core::{Commit, Error, ErrorKind, Keyed, KeyedReply, MessageHandler, Result, Seq};
use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// How long a batch waits for its turn: much longer than any commit takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which handler's batch is under way.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<bool>,
    changed: Condvar,
}

impl Turn {
    fn take(&self) -> Result<()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(taken, PATIENCE, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken {
            let why = "another handler has begun a batch and does not commit it";
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        *taken = true;
        Ok(())
    }

    fn give(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.changed.notify_one();
    }
}

/// A key as the batch found it and leaves it.
struct Planned {
    /// 0 = was not there.
    version: u64,
    value: Option<Value>,
    changed: bool,
}

/// A [`MessageHandler`] for [`Keyed`] over a [`Store`]. Values are bytes.
///
/// ```
/// use quintet_core::{Inline, Keyed, Worker};
/// use quintet_kv::{KvHandler, Store};
/// use std::num::NonZeroUsize;
///
/// let store = Store::in_memory();
/// let mut worker = Inline::new(KvHandler::new(store.clone()), NonZeroUsize::MIN);
/// worker.submit(Keyed::Put { key: b"k".to_vec(), value: b"v".to_vec() }).unwrap();
/// worker.flush().unwrap();
/// assert_eq!(store.get("k")?, Some((&b"v"[..]).into()));
/// # Ok::<(), quintet_core::Error>(())
/// ```
pub struct KvHandler {
    store: Store,
    batch: BTreeMap<Vec<u8>, Planned>,
    has_turn: bool,
}

impl KvHandler {
    /// A handler on the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            batch: BTreeMap::new(),
            has_turn: false,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn planned(&mut self, key: Vec<u8>) -> Result<&mut Planned> {
        if !self.has_turn {
            self.store.inner.turn.take()?;
            self.has_turn = true;
        }
        use std::collections::btree_map::Entry;
        match self.batch.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let (value, version) = match self.store.peek(entry.key())? {
                    Some((value, version)) => (Some(value), version),
                    None => (None, 0),
                };
                Ok(entry.insert(Planned {
                    version,
                    value,
                    changed: false,
                }))
            }
        }
    }

    fn end_turn(&mut self) {
        self.batch.clear();
        if std::mem::take(&mut self.has_turn) {
            self.store.inner.turn.give();
        }
    }

    fn apply(&self) -> Result<()> {
        let keys: Vec<&[u8]> = self.batch.keys().map(Vec::as_slice).collect();
        let (_, _) = self.store.inner.write(&keys, true, |transaction| {
            for (key, planned) in &self.batch {
                let found = transaction.slot(key)?.map_or(0, |slot| slot.version());
                if found != planned.version {
                    return Err(KvError::Conflict { key: show(key) }.into());
                }
                match &planned.value {
                    _ if !planned.changed => {}
                    Some(value) => drop(transaction.set(key, value.clone())?),
                    None => transaction.apply(key, Effect::Delete)?,
                }
            }
            #[cfg(feature = "testing")]
            self.store.inner.injected_failure()?;
            Ok(())
        })?;
        Ok(())
    }
}

fn bytes<'a>(value: Option<&'a Value>, key: &[u8]) -> Result<Option<&'a [u8]>> {
    match value {
        None => Ok(None),
        Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
        Some(other) => {
            let (operation, key, expected) = ("keyed", show(key), "bytes");
            Err(KvError::WrongType {
                operation,
                key,
                expected,
                found: other.kind(),
            }
            .into())
        }
    }
}

impl MessageHandler<Keyed> for KvHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        match message {
            Keyed::Get { key } => {
                let value = self.store.get(&key)?;
                Ok(KeyedReply::Value(
                    bytes(value.as_ref(), &key)?.map(<[u8]>::to_vec),
                ))
            }
            Keyed::Put { key, value } => {
                let value = Value::Bytes(value.into());
                self.store.inner.admit(&Effect::Put {
                    value: value.clone(),
                    expires_ms: 0,
                })?;
                let planned = self.planned(key)?;
                planned.value = Some(value);
                planned.changed = true;
                Ok(KeyedReply::Stored)
            }
            Keyed::Add { key, delta } => {
                let planned = self.planned(key.clone())?;
                let sum = Keyed::add_to(bytes(planned.value.as_ref(), &key)?, delta)?;
                planned.value = Some(Value::Bytes(sum.to_le_bytes()[..].into()));
                planned.changed = true;
                Ok(KeyedReply::Sum(sum))
            }
            Keyed::Delete { key } => {
                let planned = self.planned(key)?;
                let found = planned.value.take().is_some();
                planned.changed |= found;
                Ok(KeyedReply::Deleted(found))
            }
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        let applied = if self.batch.is_empty() {
            Ok(())
        } else {
            self.apply()
        };
        self.end_turn();
        applied?;
        self.store
            .inner
            .log
            .as_ref()
            .map_or(Ok(Commit::Done), quintet_log::Log::commit)
    }

    fn durable(&mut self) -> Result<Seq> {
        self.store
            .inner
            .log
            .as_ref()
            .map_or(Ok(Seq::MAX), quintet_log::Log::durable)
    }

    fn maintain(&mut self, budget: quintet_core::Budget) -> Option<quintet_core::Deadline> {
        // A failed log shows at the next commit.
        self.store.maintain(budget).unwrap_or(None)
    }
}

impl Drop for KvHandler {
    fn drop(&mut self) {
        self.end_turn();
    }
}
