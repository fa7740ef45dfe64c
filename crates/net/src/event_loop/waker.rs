//! Waking a loop from another thread: an eventfd, written only when the loop is asleep.
//!
//! No wake-up is lost: the loop stores `asleep` and then looks at `rung` and at its queues; the ringer stores its work and
//! `rung` and then looks at `asleep`. All four are `SeqCst`, so at least one of them sees the other.

use quintet_core::Doorbell;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

/// What a protocol is given when its loop is made.
#[derive(Clone, Debug)]
pub struct LoopContext {
    waker: Waker,
    doorbell: Doorbell,
}

impl LoopContext {
    pub(crate) fn new(waker: Waker) -> Self {
        let doorbell = Doorbell::new(waker.clone());
        Self { waker, doorbell }
    }

    /// The bell for queues between threads: to be rung after each publication. The loop arms it before it asks
    /// [`Protocol::has_work`](crate::Protocol::has_work) and sleeps, so while the loop is awake a ring costs one load,
    /// and is not remembered: `has_work` must see the queue itself.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }

    /// Makes the loop take a turn, always, for sources that `has_work` cannot see. Cheap while the loop is awake; a
    /// write to an eventfd when it sleeps.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// The shared half of a loop's sleep.
#[derive(Debug)]
pub(crate) struct LoopWaker {
    rung: AtomicBool,
    asleep: AtomicBool,
    bell: Bell,
}

/// What gets a sleeping loop out of the kernel.
#[derive(Debug)]
pub(crate) enum Bell {
    /// The eventfd in an epoll set.
    Epoll(mio::Waker),
    /// The eventfd that a ring always reads.
    #[cfg(all(feature = "uring", target_os = "linux"))]
    Ring(Arc<std::os::fd::OwnedFd>),
}

impl Bell {
    #[cfg_attr(
        all(feature = "uring", target_os = "linux"),
        expect(clippy::host_endian_bytes, reason = "an eventfd counts in the host's order")
    )]
    fn ring(&self) {
        // Either fails only when the eventfd's counter is full, and then the loop is woken anyway.
        match self {
            Self::Epoll(waker) => {
                let _full = waker.wake();
            }
            #[cfg(all(feature = "uring", target_os = "linux"))]
            Self::Ring(eventfd) => {
                let _full = rustix::io::write(&**eventfd, &1_u64.to_ne_bytes());
            }
        }
    }
}

impl LoopWaker {
    pub(crate) fn new(bell: Bell) -> Self {
        Self {
            rung: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            bell,
        }
    }

    /// Before sleeping. The caller then looks for work once more, and sleeps only if this and that found none.
    pub(crate) fn arm(&self) -> bool {
        self.asleep.store(true, SeqCst);
        self.rung.load(SeqCst)
    }

    /// After sleeping, or instead of it.
    pub(crate) fn disarm(&self) {
        self.asleep.store(false, SeqCst);
    }

    /// Whether somebody rang since the last call. Clear it before looking at the queues, not after.
    pub(crate) fn take_rung(&self) -> bool {
        self.rung.load(SeqCst) && self.rung.swap(false, SeqCst)
    }

    pub(crate) fn ring(&self) {
        self.rung.store(true, SeqCst);
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            self.bell.ring();
        }
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
