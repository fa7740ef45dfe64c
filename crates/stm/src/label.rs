//! [`Label`]: who wrote a variable last, in 32 bits, to name the rival of a conflict and the author of a change set.
//!
//! Names are interned and never forgotten, so their number is bounded; later ones are called `other`.

use crate::primitive::lock;
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

/// How many different names are told apart.
const NAMES: usize = 4096;
/// Set in the labels of threads that gave no name.
const THREAD: u32 = 1 << 31;

static INTERNED: LazyLock<Mutex<Interned>> = LazyLock::new(Mutex::default);
static THREADS: AtomicU32 = AtomicU32::new(1);

thread_local! {
    /// The last name this thread asked for: mostly the next one too.
    static LAST: RefCell<Option<(u32, Arc<str>)>> = const { RefCell::new(None) };
    static MINE: u32 = THREAD | (THREADS.fetch_add(1, Ordering::Relaxed) & !THREAD);
}

#[derive(Default)]
struct Interned {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// Who runs a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(u32);

impl Label {
    /// The label of a name.
    pub(crate) fn of(name: &str) -> Self {
        let mut interned = lock(&INTERNED);
        if let Some(&number) = interned.numbers.get(name) {
            return Self(number);
        }
        let name: Arc<str> = Arc::from(if interned.names.len() < NAMES {
            name
        } else {
            "other"
        });
        if let Some(&number) = interned.numbers.get(&name) {
            return Self(number);
        }
        interned.names.push(Arc::clone(&name));
        // Number 0 means that nobody has written yet.
        let number = u32::try_from(interned.names.len()).unwrap_or(u32::MAX >> 1);
        interned.numbers.insert(name, number);
        Self(number)
    }

    /// The label of the calling thread.
    pub(crate) fn of_thread() -> Self {
        Self(MINE.with(|mine| *mine))
    }

    pub(crate) const fn from_u32(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn as_u32(self) -> u32 {
        self.0
    }

    /// The name to show.
    pub(crate) fn name(self) -> Arc<str> {
        LAST.with_borrow_mut(|last| match last {
            Some((number, name)) if *number == self.0 => Arc::clone(name),
            _ => {
                let name = self.look_up();
                *last = Some((self.0, Arc::clone(&name)));
                name
            }
        })
    }

    fn look_up(self) -> Arc<str> {
        match self.0 {
            0 => Arc::from("nobody"),
            thread if thread & THREAD != 0 => Arc::from(format!("thread-{}", thread & !THREAD)),
            number => lock(&INTERNED)
                .names
                .get(number as usize - 1)
                .map_or_else(|| Arc::from("other"), Arc::clone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back() {
        let label = Label::of("auditor");
        assert_eq!(label, Label::of("auditor"));
        assert_eq!(&*label.name(), "auditor");
        assert_ne!(label, Label::of("teller"));
        assert!(Label::of_thread().name().starts_with("thread-"));
    }
}
