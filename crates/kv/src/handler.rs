//! [`KvHandler`]: the message that all engines answer, on a store. Clone the store, give each thread a handler of its own
//! inside a [`quintet_core::Inline`].
//!
//! A batch is planned on the side and done at the commit in one transaction: until then nobody sees anything of it. Batches
//! that touch the same keys [take turns](crate::turns). Somebody who changes these keys of the store directly meanwhile makes
//! the commit fail with `Conflict`. The usual batch, one message, costs what the store's own call costs and little more: what
//! is put is not looked up before.

use crate::{
    KvError, Store,
    effect::Effect,
    error::show,
    transaction::Transaction,
    turns::{Stripes, Turns},
    value::Value,
};
use quintet_core::{
    Commit, Completion, ErrorKind, Keyed, KeyedReply, Message, MessageHandler, Request, Result, Seq,
};
use std::collections::BTreeMap;

/// A key as the batch found it and leaves it.
struct Planned {
    /// 0 = was not there; `None` = nobody has looked, and whatever is there is replaced.
    version: Option<u64>,
    value: Option<Value>,
    changed: bool,
}

/// What a batch has planned, by key. Most batches have one.
#[derive(Default)]
struct Plan {
    first: Option<(Vec<u8>, Planned)>,
    more: BTreeMap<Vec<u8>, Planned>,
}

impl Plan {
    fn get(&mut self, key: &[u8]) -> Option<&mut Planned> {
        match &mut self.first {
            Some((first, planned)) if first == key => Some(planned),
            _ if self.more.is_empty() => None,
            _ => self.more.get_mut(key),
        }
    }

    fn insert(&mut self, key: Vec<u8>, planned: Planned) -> &mut Planned {
        if self.first.is_none() {
            &mut self.first.insert((key, planned)).1
        } else {
            self.more.entry(key).or_insert(planned)
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Planned)> {
        let first = self.first.iter().map(|(key, planned)| (key, planned));
        first.chain(&self.more)
    }

    fn clear(&mut self) {
        self.first = None;
        self.more.clear();
    }
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
    batch: Plan,
    held: Stripes,
}

impl KvHandler {
    /// A handler on the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            batch: Plan::default(),
            held: 0,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn stripe(&self, key: &[u8]) -> Stripes {
        Turns::of(self.store.inner.table.hash(key))
    }

    fn take(&mut self, stripes: Stripes) -> Result<()> {
        self.store.inner.turns.take(&mut self.held, stripes)
    }

    /// A key as the batch sees it.
    fn planned(&mut self, key: &[u8]) -> Result<&mut Planned> {
        self.take(self.stripe(key))?;
        if self.batch.get(key).is_none() {
            let mut version = 0;
            let value = self.store.peek(key, &mut version)?;
            self.batch.insert(
                key.to_vec(),
                Planned {
                    version: Some(version),
                    value,
                    changed: false,
                },
            );
        }
        self.batch.get(key).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<KeyedReply> {
        let effect = Effect::Put {
            value: Value::Bytes(value.into()),
            expires_ms: 0,
        };
        self.store.inner.admit(&effect)?;
        self.take(self.stripe(&key))?;
        if let Effect::Put { value, .. } = effect {
            if let Some(planned) = self.batch.get(&key) {
                planned.value = Some(value);
                planned.changed = true;
            } else {
                let blind = Planned {
                    version: None,
                    value: Some(value),
                    changed: true,
                };
                self.batch.insert(key, blind);
            }
        }
        Ok(KeyedReply::Stored)
    }

    fn end_turn(&mut self) {
        self.batch.clear();
        if self.held != 0 {
            self.store.inner.turns.give(&mut self.held);
        }
    }

    fn apply(&mut self) -> Result<()> {
        #[cfg(feature = "testing")]
        self.store.inner.injected_failure()?;
        let inner = &*self.store.inner;
        if self.batch.more.is_empty() {
            let Some((key, planned)) = &mut self.batch.first else {
                return Ok(());
            };
            if planned.version.is_none()
                && let Some(value) = planned.value.take()
            {
                match inner.overwrite(key, value, true) {
                    Ok(()) => return Ok(()),
                    Err(value) => planned.value = Some(value),
                }
            }
            let apply = |transaction: &mut Transaction<'_>| apply(transaction, key, planned);
            return inner.write(&[key], false, apply).map(drop);
        }
        let keys: Vec<&[u8]> = self.batch.iter().map(|(key, _)| key.as_slice()).collect();
        let apply = |transaction: &mut Transaction<'_>| {
            let mut planned = self.batch.iter();
            planned.try_for_each(|(key, planned)| apply(transaction, key, planned))
        };
        inner.write(&keys, true, apply).map(drop)
    }
}

/// Does what is planned for a key, if it still is as it was found.
fn apply(transaction: &mut Transaction<'_>, key: &[u8], planned: &Planned) -> Result<()> {
    if let Some(version) = planned.version
        && transaction.slot(key)?.map_or(0, |slot| slot.version()) != version
    {
        return Err(KvError::Conflict { key: show(key) }.into());
    }
    match &planned.value {
        _ if !planned.changed => Ok(()),
        Some(value) => transaction.set(key, value.clone()).map(drop),
        None => transaction.apply(key, Effect::Delete),
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
            Keyed::Put { key, value } => self.put(key, value),
            Keyed::Add { key, delta } => {
                let planned = self.planned(&key)?;
                let sum = Keyed::add_to(bytes(planned.value.as_ref(), &key)?, delta)?;
                planned.value = Some(Value::Bytes(sum.to_le_bytes()[..].into()));
                planned.changed = true;
                Ok(KeyedReply::Sum(sum))
            }
            Keyed::Delete { key } => {
                let planned = self.planned(&key)?;
                let found = planned.value.take().is_some();
                planned.changed |= found;
                Ok(KeyedReply::Deleted(found))
            }
        }
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<Keyed>>, out: &mut Vec<Completion<Keyed>>) {
        if batch.len() > 1 {
            batch.sort_by_key(|request| request.message.rank());
        }
        // All at once, and so in order. If it fails, each message fails where it needs one.
        let writes = batch.iter().filter(|request| request.message.rank() > 0);
        let stripes = writes.fold(0, |all, request| all | self.stripe(request.message.key()));
        let _each_tries_again = self.take(stripes);
        for Request { id, message } in batch.drain(..) {
            let result = self.handle(message);
            out.push(Completion { id, result });
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        let applied = if self.batch.first.is_some() {
            self.apply()
        } else {
            Ok(())
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
