//! Tickets for aged transactions: at most one at a time holds the right to reserve variables, first come first served.
//!
//! A transaction that lost too often takes a ticket. While it holds it, each variable it touches is reserved: others may
//! read it and not write it, so the next attempt cannot lose. Young transactions that meet a reservation give way, age,
//! and queue here in turn, so no transaction starves and nobody waits for anybody while holding a seal.

use crate::primitive::{Condvar, Mutex, ThreadId, lock, this_thread};

#[derive(Debug)]
pub(crate) struct Tickets {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug)]
struct Queue {
    next: u64,
    serving: u64,
    /// The thread that is served, so that it does not wait for itself.
    holder: Option<ThreadId>,
}

impl Queue {
    const EMPTY: Self = Self {
        next: 0,
        serving: 0,
        holder: None,
    };
}

/// The right to reserve. Passed on when dropped.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    tickets: &'a Tickets,
}

impl Tickets {
    #[cfg(not(quintet_loom))]
    pub(crate) const fn new() -> Self {
        Self {
            queue: Mutex::new(Queue::EMPTY),
            moved: Condvar::new(),
        }
    }

    #[cfg(quintet_loom)]
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue::EMPTY),
            moved: Condvar::new(),
        }
    }

    /// Queues, and blocks until all earlier tickets are done. `None` = this thread holds one already.
    pub(crate) fn take(&self) -> Option<Ticket<'_>> {
        self.enter().then(|| Ticket { tickets: self })
    }

    /// As [`take`](Self::take), for who cannot borrow: [`leave`](Self::leave) must follow. False = not entered.
    pub(crate) fn enter(&self) -> bool {
        let me = this_thread();
        let mut queue = lock(&self.queue);
        if queue.holder.is_some_and(|holder| holder == me) {
            return false;
        }
        let mine = queue.next;
        queue.next += 1;
        while queue.serving != mine {
            queue = self
                .moved
                .wait(queue)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        queue.holder = Some(me);
        true
    }

    /// Serves the next ticket.
    pub(crate) fn leave(&self) {
        let waiting = {
            let mut queue = lock(&self.queue);
            queue.serving += 1;
            queue.holder = None;
            queue.serving != queue.next
        };
        if waiting {
            self.moved.notify_all();
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.tickets.leave();
    }
}

#[cfg(all(test, not(quintet_loom)))]
mod tests {
    use super::*;
    use std::{
        sync::{Barrier, mpsc},
        thread,
    };

    #[test]
    fn nobody_waits_for_himself() {
        let tickets = Tickets::new();
        let first = tickets.take();
        assert!(first.is_some() && tickets.take().is_none());
        drop(first);
        assert!(tickets.take().is_some());
    }

    #[test]
    fn tickets_are_served_in_order() {
        let tickets = Tickets::new();
        let first = tickets.take().unwrap();
        let (served, order) = mpsc::channel();
        let queued = Barrier::new(2);
        thread::scope(|scope| {
            for turn in 0..3 {
                let (served, tickets, queued) = (served.clone(), &tickets, &queued);
                scope.spawn(move || {
                    queued.wait();
                    let _ticket = tickets.take().unwrap();
                    served.send(turn).unwrap();
                });
                queued.wait();
                while lock(&tickets.queue).next != turn + 2 {
                    thread::yield_now();
                }
            }
            assert!(order.try_recv().is_err(), "served while the first ticket is held");
            drop(first);
        });
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
