//! Operations on the ends of lists, and moving from one list to another.

use crate::{
    KvError, Store,
    effect::{Effect, End},
    error::show,
    transaction::Transaction,
    value::{List, Value},
};
use quintet_core::Result;
use std::sync::Arc;

impl Transaction<'_> {
    /// The list under a key.
    pub(crate) fn list(&mut self, key: &[u8], operation: &'static str) -> Result<Option<Arc<List>>> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(other) => {
                let (key, expected, found) = (show(key), "a list", other.kind());
                Err(KvError::WrongType {
                    operation,
                    key,
                    expected,
                    found,
                }
                .into())
            }
        }
    }

    /// Adds items one after another; answers the length.
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        end: End,
        items: Vec<Value>,
        operation: &'static str,
    ) -> Result<usize> {
        let len = self.list(key, operation)?.map_or(0, |list| list.items.len()) + items.len();
        self.apply(key, Effect::Push { end, items })?;
        Ok(len)
    }

    /// Takes an item; `None` = there is no list, `Some(None)` = it is empty.
    pub(crate) fn pop(
        &mut self,
        key: &[u8],
        end: End,
        operation: &'static str,
    ) -> Result<Option<Option<Value>>> {
        let Some(list) = self.list(key, operation)? else {
            return Ok(None);
        };
        let item = match end {
            End::Front => list.items.front().cloned(),
            End::Back => list.items.back().cloned(),
        };
        // So that the list is changed where it lies.
        drop(list);
        if item.is_some() {
            self.apply(key, Effect::Pop { end, count: 1 })?;
        }
        Ok(Some(item))
    }

    /// Takes an item of one list and adds it to another, or the same one.
    pub(crate) fn transfer(
        &mut self,
        (from, from_end): (&[u8], End),
        (to, to_end): (&[u8], End),
        operation: &'static str,
    ) -> Result<Option<Value>> {
        self.group();
        self.list(to, operation)?;
        let Some(item) = self.pop(from, from_end, operation)?.flatten() else {
            return Ok(None);
        };
        self.push(to, to_end, vec![item.clone()], operation)?;
        Ok(Some(item))
    }
}

impl Store {
    /// Adds an item at the back; answers the length. A missing key is an empty list.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when there is no list under the key; as
    /// [`set`](Self::set).
    pub fn push(&self, key: impl AsRef<[u8]>, item: impl Into<Value>) -> Result<usize> {
        self.add(key.as_ref(), End::Back, item.into(), "push")
    }

    /// Adds an item at the front; answers the length.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn unshift(&self, key: impl AsRef<[u8]>, item: impl Into<Value>) -> Result<usize> {
        self.add(key.as_ref(), End::Front, item.into(), "unshift")
    }

    fn add(&self, key: &[u8], end: End, item: Value, operation: &'static str) -> Result<usize> {
        self.change(&[key], |transaction| {
            transaction.push(key, end, vec![item.clone()], operation)
        })
    }

    /// Takes the item at the front; `None` when the list is empty. A drained list stays.
    ///
    /// # Errors
    /// [`NotFound`](quintet_core::ErrorKind::NotFound) when the key is not there; as [`push`](Self::push).
    pub fn shift(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.remove_at(key.as_ref(), End::Front, "shift")
    }

    /// Takes the item at the back.
    ///
    /// # Errors
    /// As [`shift`](Self::shift).
    pub fn pop(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.remove_at(key.as_ref(), End::Back, "pop")
    }

    fn remove_at(&self, key: &[u8], end: End, operation: &'static str) -> Result<Option<Value>> {
        let found = self.change(&[key], |transaction| transaction.pop(key, end, operation))?;
        found.ok_or_else(|| {
            KvError::Missing {
                operation,
                key: show(key),
            }
            .into()
        })
    }

    /// Takes an item off one end of a list and adds it to one end of another, at one moment; `None` when there is none.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when either is no list; as [`set`](Self::set).
    pub fn transfer(
        &self,
        from: (impl AsRef<[u8]>, End),
        to: (impl AsRef<[u8]>, End),
    ) -> Result<Option<Value>> {
        let (from, to) = ((from.0.as_ref(), from.1), (to.0.as_ref(), to.1));
        self.change_grouped(&[from.0, to.0], |transaction| {
            transaction.transfer(from, to, "transfer")
        })
    }
}
