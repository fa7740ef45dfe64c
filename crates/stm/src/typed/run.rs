//! Running a body over typed variables: buffers that a thread reuses, and one attempt after another.

use super::{
    tvar,
    tx::{Buffers, DOMAIN, Tx},
};
use crate::{
    Result, Transaction,
    protocol::{read_set::ReadSet, slot::Slot},
    transaction::{Attempts, Step, run},
};
use std::cell::Cell;

thread_local! {
    /// The buffers of this thread's last transaction, for its next one.
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// Runs a body as a hybrid transaction: its writes happen all at once or not at all, and no update is lost. For other
/// levels, labels and limits see [`Transaction`].
///
/// ```
/// use quintet_stm::{TVar, atomically, check};
///
/// let stock = TVar::new(3_u32);
/// let left = atomically(|tx| {
///     let now = tx.read(&stock)?;
///     check(now > 0)?; // sleeps until there is some
///     tx.write(&stock, now - 1)?;
///     Ok(now - 1)
/// }).unwrap();
/// assert_eq!(left, 2);
/// ```
///
/// # Errors
/// [`Error::Body`](crate::Error::Body) when the body refuses; the others say what the body did wrong. Never a conflict: a transaction that
/// keeps losing is given precedence.
#[inline]
pub fn atomically<R>(body: impl FnMut(&mut Tx) -> Step<R>) -> Result<R> {
    Transaction::default().run(body)
}

impl Transaction {
    /// Runs a body over typed variables.
    ///
    /// # Errors
    /// As [`atomically`], and [`Error::Conflict`](crate::Error::Conflict) or [`Error::TimedOut`](crate::Error::TimedOut) when a limit is set.
    #[inline]
    pub fn run<R>(&self, body: impl FnMut(&mut Tx) -> Step<R>) -> Result<R> {
        let mut attempts = Typed {
            tx: Tx {
                buffers: BUFFERS.take().unwrap_or_default(),
                isolation: self.isolation,
                label: self.author().as_u32(),
                written: false,
            },
            body,
        };
        let result = run(&DOMAIN, self, &mut attempts);
        let mut buffers = attempts.tx.buffers;
        buffers.writes.clear();
        BUFFERS.set(Some(buffers));
        result
    }
}

struct Typed<F> {
    tx: Tx,
    body: F,
}

/// Gives reservations back, also when the body panics.
struct Ends<'a>(&'a mut Tx);

impl Drop for Ends<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.buffers.reads.end();
    }
}

impl<R, F: FnMut(&mut Tx) -> Step<R>> Attempts for Typed<F> {
    type Output = R;

    #[inline]
    fn attempt(&mut self, aged: bool) -> Step<R> {
        let tx = &mut self.tx;
        tx.buffers.writes.clear();
        tx.buffers.reads.begin(&DOMAIN, tx.isolation, aged);
        let tx = Ends(tx);
        let output = (self.body)(tx.0)?;
        tx.0.commit()?;
        Ok(output)
    }

    fn reads(&self) -> &ReadSet {
        &self.tx.buffers.reads
    }

    fn has_written(&self) -> bool {
        self.tx.written
    }

    fn name_of(&self, slot: &'static Slot) -> String {
        tvar::name_of(slot)
    }
}
