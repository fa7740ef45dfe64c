//! [`TVar`]: a transactional variable of any type.
//!
//! A value of up to 64 bits lives in the variable's slot; any other is behind an [`Arc`] that a commit swaps, so a reader
//! never waits for a writer's copy and touches no shared count.

use super::bits;
use crate::primitive::{Spin, lock};
use crate::protocol::{
    pool,
    slot::Slot,
    stamp::{Stamp, Word},
};
use arc_swap::ArcSwapOption;
use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

/// Names of named variables, by slot address. Touched when one is made or dropped, and to report a conflict.
static NAMES: Mutex<BTreeMap<usize, Arc<str>>> = Mutex::new(BTreeMap::new());

/// A variable that transactions read and write. Clones are handles to the same variable.
///
/// Numbers, `bool` and `char` are stored without allocation and are the fastest; put large values that are written often
/// into several variables, and large values that are passed on unchanged behind an `Arc`.
///
/// ```
/// use quintet_stm::{TVar, atomically};
///
/// let name = TVar::new(String::from("Ada"));
/// atomically(|tx| {
///     let longer = tx.read(&name)? + " Lovelace";
///     tx.write(&name, longer)
/// }).unwrap();
/// assert_eq!(name.get(), "Ada Lovelace");
/// ```
pub struct TVar<T> {
    slot: &'static Slot,
    home: Arc<Home<T>>,
}

/// What lives as long as the variable.
pub(crate) struct Home<T> {
    pub(crate) slot: &'static Slot,
    /// The value, unless it fits the slot.
    pub(crate) boxed: ArcSwapOption<T>,
    named: bool,
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        if self.named {
            lock(&NAMES).remove(&self.slot.address());
        }
        pool::give_back(self.slot);
    }
}

impl<T> Clone for TVar<T> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot,
            home: Arc::clone(&self.home),
        }
    }
}

impl<T: Any + Clone + Send + Sync> TVar<T> {
    /// A variable with a first value. Allocates.
    pub fn new(value: T) -> Self {
        Self::make(value, false)
    }

    /// A variable that conflicts are reported under this name for.
    pub fn named(name: &str, value: T) -> Self {
        let variable = Self::make(value, true);
        lock(&NAMES).insert(variable.slot.address(), Arc::from(name));
        variable
    }

    fn make(value: T, named: bool) -> Self {
        let slot = pool::take();
        let boxed = if bits::fits::<T>() {
            slot.set_bits(bits::to_bits(&value));
            ArcSwapOption::empty()
        } else {
            ArcSwapOption::from_pointee(value)
        };
        Self {
            slot,
            home: Arc::new(Home { slot, boxed, named }),
        }
    }

    /// The latest committed value, outside any transaction.
    #[must_use]
    pub fn get(&self) -> T {
        self.get_stamped().0
    }

    /// The latest committed value and its stamp.
    #[must_use]
    pub fn get_stamped(&self) -> (T, Stamp) {
        let mut spin = Spin::default();
        loop {
            let before = self.slot.word();
            if !before.has(Word::SEALED) {
                let value = self.load();
                let after = self.slot.word();
                if !after.has(Word::SEALED) && after.stamp() == before.stamp() {
                    return (value, before.stamp());
                }
            }
            spin.turn();
        }
    }

    /// Whatever is stored now. Whole, but maybe not yet stamped.
    #[inline]
    pub(crate) fn load(&self) -> T {
        self.home.load()
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot
    }

    #[inline]
    pub(crate) fn home(&self) -> &Arc<Home<T>> {
        &self.home
    }
}

impl<T: Any + Clone> Home<T> {
    #[inline]
    pub(crate) fn load(&self) -> T {
        if bits::fits::<T>()
            && let Some(value) = bits::from_bits(self.slot.bits())
        {
            return value;
        }
        self.load_boxed()
    }

    fn load_boxed(&self) -> T {
        match &*self.boxed.load() {
            Some(value) => T::clone(value),
            None => unreachable!("a boxed variable is made with a value and only ever given another"),
        }
    }
}

impl<T> TVar<T> {
    /// Whether both are handles to the same variable.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.home, &other.home)
    }
}

/// The name that a variable is reported under.
pub(crate) fn name_of(slot: &Slot) -> String {
    lock(&NAMES)
        .get(&slot.address())
        .map_or_else(|| format!("tvar@{:x}", slot.address()), ToString::to_string)
}

impl<T: Any + Clone + Send + Sync + fmt::Debug> fmt::Debug for TVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, stamp) = self.get_stamped();
        f.debug_struct("TVar")
            .field("value", &value)
            .field("stamp", &stamp)
            .finish()
    }
}
