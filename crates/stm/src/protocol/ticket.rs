//! Tickets for aged transactions: at most one at a time holds the right to reserve variables, first come first served.
//!
//! A transaction that lost too often takes a ticket. While it holds it, each variable it touches is reserved: others may
//! read it and not write it, so the next attempt cannot lose. Young transactions that meet a reservation give way, age,
//! and queue here in turn, so no transaction starves and nobody waits for anybody while holding a seal.

use crate::primitive::{Condvar, Mutex, lock};

#[derive(Debug)]
pub(crate) struct Tickets {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug)]
struct Queue {
    next: u64,
    serving: u64,
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
            queue: Mutex::new(Queue { next: 0, serving: 0 }),
            moved: Condvar::new(),
        }
    }

    #[cfg(quintet_loom)]
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue { next: 0, serving: 0 }),
            moved: Condvar::new(),
        }
    }

    /// Queues, and blocks until all earlier tickets are done.
    pub(crate) fn take(&self) -> Ticket<'_> {
        let mut queue = lock(&self.queue);
        let mine = queue.next;
        queue.next += 1;
        while queue.serving != mine {
            queue = self
                .moved
                .wait(queue)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        Ticket { tickets: self }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        lock(&self.tickets.queue).serving += 1;
        self.tickets.moved.notify_all();
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
    fn tickets_are_served_in_order() {
        let tickets = Tickets::new();
        let first = tickets.take();
        let (served, order) = mpsc::channel();
        let queued = Barrier::new(2);
        thread::scope(|scope| {
            for turn in 0..3 {
                let (served, tickets, queued) = (served.clone(), &tickets, &queued);
                scope.spawn(move || {
                    queued.wait();
                    let _ticket = tickets.take();
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
