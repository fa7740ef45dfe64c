//! Operations on whole values and numbers: get, set, swap, update, increment, compare-and-swap, and many at once.

use crate::{
    KvError, Store,
    effect::Effect,
    error::show,
    transaction::Transaction,
    value::{Object, Value},
};
use quintet_core::Result;
use std::sync::Arc;

impl Transaction<'_> {
    /// Sets the value; a time to live that is there stays, unless the key has expired.
    pub(crate) fn set(&mut self, key: &[u8], value: Value) -> Result<Option<Value>> {
        let (old, expires_ms) = match self.slot(key)? {
            Some(slot) => (Some(slot.value.clone()), slot.expires_ms()),
            None => (None, 0),
        };
        self.apply(key, Effect::Put { value, expires_ms })?;
        Ok(old)
    }

    pub(crate) fn increment(&mut self, key: &[u8], delta: &Value, operation: &'static str) -> Result<Value> {
        let old = self.value(key)?.unwrap_or(Value::Int(0));
        let overflow = || KvError::Overflow {
            operation,
            key: show(key),
        };
        let wrong = |found, expected| KvError::WrongType {
            operation,
            key: show(key),
            expected,
            found,
        };
        let sum = match (&old, delta) {
            (Value::Int(old), Value::Int(delta)) => Value::Int(old.checked_add(*delta).ok_or_else(overflow)?),
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                let sum = as_float(&old) + as_float(delta);
                if !sum.is_finite() {
                    return Err(overflow().into());
                }
                Value::Float(sum)
            }
            (Value::Int(_) | Value::Float(_), other) => {
                let reason = format!("a numeric delta is needed, not {}", other.kind());
                return Err(KvError::Argument { operation, reason }.into());
            }
            (other, _) => return Err(wrong(other.kind(), "a number").into()),
        };
        self.set(key, sum.clone())?;
        Ok(sum)
    }

    pub(crate) fn update(&mut self, key: &[u8], patch: &Arc<Object>) -> Result<Value> {
        match self.value(key)? {
            None | Some(Value::Object(_)) => {}
            Some(other) => {
                let error = KvError::WrongType {
                    operation: "update",
                    key: show(key),
                    expected: "an object",
                    found: other.kind(),
                };
                return Err(error.into());
            }
        }
        self.apply(key, Effect::Merge { patch: patch.clone() })?;
        Ok(self.value(key)?.unwrap_or(Value::Null))
    }

    /// Sets the value if the key has this version; 0 = is not there. Answers the version before.
    pub(crate) fn compare_and_swap(
        &mut self,
        key: &[u8],
        version: u64,
        value: Value,
    ) -> Result<Result<(), u64>> {
        let (found, expires_ms) = self
            .slot(key)?
            .map_or((0, 0), |slot| (slot.version(), slot.expires_ms()));
        if found != version {
            return Ok(Err(found));
        }
        self.apply(key, Effect::Put { value, expires_ms })?;
        Ok(Ok(()))
    }
}

fn as_float(value: &Value) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        _ => 0.0,
    }
}

impl Store {
    /// The value, shared with whoever changes it next: nothing is copied. `None` when the key is not there.
    ///
    /// # Errors
    /// A failed log.
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let mut seen = 0;
        let found = self.peek(key.as_ref(), &mut seen);
        self.inner.settle(seen)?;
        found
    }

    /// The value and its version, for [`compare_and_swap`](Self::compare_and_swap).
    ///
    /// # Errors
    /// A failed log.
    #[inline]
    pub fn get_versioned(&self, key: impl AsRef<[u8]>) -> Result<Option<(Value, u64)>> {
        let mut version = 0;
        let found = self.peek(key.as_ref(), &mut version)?;
        self.inner.settle(version)?;
        Ok(found.map(|value| (value, version)))
    }

    /// Sets the value, whatever was there. A time to live that the key has stays.
    ///
    /// ```
    /// use quintet_kv::{Store, Value};
    /// let store = Store::in_memory();
    /// store.set("user", Value::object([("name", Value::from("Ada"))]))?;
    /// assert_eq!(store.get("user")?, Some(Value::object([("name", Value::from("Ada"))])));
    /// # Ok::<(), quintet_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`TooLarge`](quintet_core::ErrorKind::TooLarge), [`Full`](quintet_core::ErrorKind::Full), a read-only store or a
    /// failed log, as for every change.
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<()> {
        let key = key.as_ref();
        match self.inner.overwrite(key, value.into(), true) {
            Ok(()) => Ok(()),
            Err(value) => self.swap(key, value).map(drop),
        }
    }

    /// Sets the value and answers the one before.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn swap(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<Option<Value>> {
        let (key, value) = (key.as_ref(), value.into());
        self.change(&[key], |transaction| transaction.set(key, value.clone()))
    }

    /// Sets the value if the key is not there; whether it did.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_once(&self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<bool> {
        let (key, value) = (key.as_ref(), value.into());
        self.change(&[key], |transaction| {
            let is_free = transaction.slot(key)?.is_none();
            if is_free {
                transaction.set(key, value.clone())?;
            }
            Ok(is_free)
        })
    }

    /// Adds to a number; a missing key counts from 0. Integers stay integers; with a fraction on either side the sum is
    /// a float. Answers the sum.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when either is no number or the sum leaves the range;
    /// as [`set`](Self::set).
    pub fn increment(&self, key: impl AsRef<[u8]>, delta: impl Into<Value>) -> Result<Value> {
        let (key, delta) = (key.as_ref(), delta.into());
        self.change(&[key], |transaction| {
            transaction.increment(key, &delta, "increment")
        })
    }

    /// Subtracts from a number.
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    pub fn decrement(&self, key: impl AsRef<[u8]>, delta: impl Into<Value>) -> Result<Value> {
        let operation = "decrement";
        let delta = match delta.into() {
            Value::Int(delta) => match delta.checked_neg() {
                Some(delta) => Value::Int(delta),
                None => {
                    let key = show(key.as_ref());
                    return Err(KvError::Overflow { operation, key }.into());
                }
            },
            Value::Float(delta) => Value::Float(-delta),
            other => other,
        };
        let key = key.as_ref();
        self.change(&[key], |transaction| {
            transaction.increment(key, &delta, operation)
        })
    }

    /// Merges an object into the one under the key, deep; a null deletes its field. Answers the merged object, which
    /// shares what did not change. A missing key is an empty object.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when either is no object; as [`set`](Self::set).
    pub fn update(&self, key: impl AsRef<[u8]>, patch: impl Into<Value>) -> Result<Value> {
        let key = key.as_ref();
        let Value::Object(patch) = patch.into() else {
            let reason = "the update must be an object".to_owned();
            return Err(KvError::Argument {
                operation: "update",
                reason,
            }
            .into());
        };
        self.change(&[key], |transaction| transaction.update(key, &patch))
    }

    /// Sets the value if the key still has `version`; 0 = if it is not there. Answers `Err` with the version it has
    /// otherwise.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        version: u64,
        value: impl Into<Value>,
    ) -> Result<Result<(), u64>> {
        let (key, value) = (key.as_ref(), value.into());
        self.change(&[key], |transaction| {
            transaction.compare_and_swap(key, version, value.clone())
        })
    }

    /// Several values, as they were at one moment.
    ///
    /// # Errors
    /// A failed log.
    pub fn mget<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        self.change_grouped(&keys, |transaction| {
            keys.iter().map(|key| transaction.value(key)).collect()
        })
    }

    /// Sets several values, all or none, at one moment. Times to live stay.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn mset<K: AsRef<[u8]>>(&self, entries: &[(K, Value)]) -> Result<()> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| key.as_ref()).collect();
        self.change_grouped(&keys, |transaction| {
            for (key, value) in entries {
                transaction.set(key.as_ref(), value.clone())?;
            }
            Ok(())
        })
    }
}
