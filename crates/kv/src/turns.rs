//! [`Turns`]: whose batch may touch which keys. A handler answers before it commits, so between the two no other handler may
//! change what its batch has looked at.
//!
//! Keys are spread over stripes. A batch takes those of all its keys, in ascending order, so that batches never wait in a
//! circle; it keeps them until its commit. Direct users of the store take none: what they change meanwhile makes a commit
//! fail.

use quintet_core::{Error, ErrorKind, Result};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a batch waits for its turn: much longer than any commit takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A set of stripes, one bit each.
pub(crate) type Stripes = u64;

#[derive(Debug, Default)]
struct State {
    taken: bool,
    /// How many wait, so that nobody is woken where nobody sleeps.
    waiting: u32,
}

/// Alone on its pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    state: Mutex<State>,
    changed: Condvar,
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False = the patience has run out.
    fn take(&self) -> bool {
        let mut state = self.lock();
        if state.taken {
            state.waiting += 1;
            let waited = self
                .changed
                .wait_timeout_while(state, PATIENCE, |state| state.taken);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        !std::mem::replace(&mut state.taken, true)
    }

    fn give(&self) {
        let mut state = self.lock();
        state.taken = false;
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Turns {
    stripes: Box<[Stripe]>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            stripes: (0..Stripes::BITS).map(|_| Stripe::default()).collect(),
        }
    }
}

fn each(stripes: Stripes) -> impl Iterator<Item = usize> {
    let mut rest = stripes;
    std::iter::from_fn(move || {
        let at = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
        rest &= rest - 1;
        Some(at)
    })
}

impl Turns {
    /// The stripe of a key with this hash.
    pub(crate) fn of(hash: u64) -> Stripes {
        1 << (hash % u64::from(Stripes::BITS))
    }

    /// Takes more stripes than those that are held, which is nothing or what an earlier call has left here. If they are not
    /// all behind those, all are given back first, and others may come between: the commit then finds out.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when somebody keeps his for too long; nothing is held then.
    pub(crate) fn take(&self, held: &mut Stripes, wanted: Stripes) -> Result<()> {
        let mut missing = wanted & !*held;
        if missing == 0 {
            return Ok(());
        }
        if *held > missing & missing.wrapping_neg() {
            missing |= *held;
            self.give(held);
        }
        for at in each(missing) {
            if !self.stripes[at].take() {
                self.give(held);
                let why = "another handler has begun a batch and does not commit it";
                return Err(Error::new(ErrorKind::Unavailable, why));
            }
            *held |= 1 << at;
        }
        Ok(())
    }

    /// Gives all back.
    pub(crate) fn give(&self, held: &mut Stripes) {
        each(std::mem::take(held)).for_each(|at| self.stripes[at].give());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn two_that_want_the_same_in_another_order_do_not_wait_in_a_circle() {
        let turns = Turns::default();
        let (sent, done) = mpsc::channel();
        thread::scope(|scope| {
            for order in [[1, 1 << 40], [1 << 40, 1]] {
                let (turns, sent) = (&turns, sent.clone());
                scope.spawn(move || {
                    for _ in 0..500 {
                        let mut held = 0;
                        for stripe in order {
                            turns.take(&mut held, stripe).unwrap();
                        }
                        assert_eq!(held, 1 | 1 << 40);
                        turns.give(&mut held);
                    }
                    sent.send(()).unwrap();
                });
            }
            for _ in 0..2 {
                done.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        });
    }

    #[test]
    fn a_stripe_is_held_by_one_at_a_time() {
        let (turns, count) = (Turns::default(), Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let mut held = 0;
                        turns.take(&mut held, Turns::of(7) | Turns::of(9)).unwrap();
                        let mut count = count.try_lock().expect("nobody else is here");
                        *count += 1;
                        drop(count);
                        turns.give(&mut held);
                    }
                });
            }
        });
        assert_eq!(*count.lock().unwrap(), 900);
    }
}
