//! One io_uring: made on the thread that uses it, entered once a turn with everything that was queued.
//!
//! Invariants: a request that does not fit waits in order, none is lost; `outstanding` counts the requests whose last
//! completion has not been reaped, so at 0 the kernel holds no memory of ours.
#![expect(unsafe_code, reason = "a request names memory that the kernel will use")]

use super::{buffers::ReceiveBuffers, token::Token};
use crate::backend::unavailable;
use io_uring::{
    IoUring, Probe, cqueue, opcode, squeue,
    types::{SubmitArgs, Timespec},
};
use quintet_core::{Error, ErrorKind, Result};
use std::{collections::VecDeque, io, marker::PhantomData, time::Duration};

/// Requests that one entry into the kernel submits, and with how few of them a loop still begins.
const SUBMISSIONS: u32 = 1024;
const LEAST_SUBMISSIONS: u32 = 64;
/// Completions for each of them that fit before the kernel keeps them elsewhere.
const COMPLETIONS_EACH: u32 = 8;
/// The group of the receive buffers.
pub(super) const BUFFER_GROUP: u16 = 0;

/// A completion, taken out of the ring; not copied again, because it may stand for a descriptor.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    /// What the system call would have returned: a negative number is an error's.
    pub(super) result: i32,
    /// More completions will come for the same request.
    pub(super) more: bool,
    /// The first receive buffer that was filled.
    pub(super) buffer: Option<u16>,
    /// How many were, one behind the other in memory; all but the last are full.
    pub(super) buffers: u16,
}

impl Completion {
    /// Takes in the next one if it is of the same receive and its bytes lie behind these, so that a large body is not
    /// handled in small pieces. The kernel takes buffers in the order in which they were given, which is mostly theirs in
    /// memory.
    fn absorb(&mut self, next: &Self) -> bool {
        let full = usize::from(self.buffers) * ReceiveBuffers::BUFFER_BYTES;
        let follows = matches!(self.token, Token::Receive(_))
            && self.token == next.token
            && self.more
            && next.result > 0
            && usize::try_from(self.result) == Ok(full)
            && self.buffer.is_some()
            && self.buffer.and_then(|first| first.checked_add(self.buffers)) == next.buffer
            && self.buffers < ReceiveBuffers::MOST_JOINED;
        if follows {
            self.result += next.result;
            self.buffers += 1;
            self.more = next.more;
        }
        follows
    }
}

pub(super) struct Ring {
    uring: IoUring,
    waiting: VecDeque<squeue::Entry>,
    outstanding: usize,
    /// The kernel takes requests only from the thread that made the ring.
    _one_thread: PhantomData<*mut ()>,
}

fn as_large_as_fits<T>(mut make: impl FnMut(u32) -> Result<T>) -> Result<T> {
    let mut submissions = SUBMISSIONS;
    loop {
        match make(submissions) {
            Err(error) if submissions > LEAST_SUBMISSIONS && is_out_of_memory(&error) => submissions /= 4,
            made => return made,
        }
    }
}

fn is_out_of_memory(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::OutOfMemory)
}

impl Ring {
    /// # Errors
    /// [`ErrorKind::Unsupported`] that names what the kernel lacks or refuses.
    pub(super) fn new(submissions: u32, completions: u32) -> Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .dontfork()
            .setup_cqsize(completions)
            .build(submissions)
            .map_err(|error| unavailable("setup", error))?;
        let has = uring.params();
        if !(has.is_feature_ext_arg() && has.is_feature_nodrop() && has.is_feature_skip_cqe_on_success()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "io_uring: the kernel is older than Linux 6.1",
            ));
        }
        Ok(Self {
            uring,
            waiting: VecDeque::new(),
            outstanding: 0,
            _one_thread: PhantomData,
        })
    }

    /// A ring of a loop's size, or a smaller one while the kernel has no memory for that: what does not fit it waits.
    pub(super) fn of_a_loop() -> Result<Self> {
        as_large_as_fits(|submissions| Self::new(submissions, submissions * COMPLETIONS_EACH))
    }

    /// Asks the kernel for each operation that the loop uses. Multishot receive is older than deferred task work, which
    /// the setup already asked for.
    pub(super) fn probe(&self) -> Result<()> {
        let mut probe = Probe::new();
        self.uring
            .submitter()
            .register_probe(&mut probe)
            .map_err(|error| unavailable("probe", error))?;
        for (name, code) in [
            ("accept", opcode::AcceptMulti::CODE),
            ("recv", opcode::RecvMulti::CODE),
            ("send", opcode::Send::CODE),
            ("sendmsg", opcode::SendMsg::CODE),
            ("read", opcode::Read::CODE),
            ("poll", opcode::PollAdd::CODE),
            ("cancel", opcode::AsyncCancel2::CODE),
            ("close", opcode::Close::CODE),
        ] {
            if !probe.is_supported(code) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("io_uring: the kernel lacks the operation `{name}`"),
                ));
            }
        }
        Ok(())
    }

    /// Lends the buffers to the kernel.
    ///
    /// # Safety
    /// They must live until `outstanding` is 0 and nothing more is pushed.
    pub(super) unsafe fn register(&self, buffers: &ReceiveBuffers) -> Result<()> {
        // SAFETY: the address is of a ring of `count` entries on a page boundary; the caller keeps it alive.
        unsafe {
            self.uring.submitter().register_buf_ring_with_flags(
                buffers.ring_address(),
                buffers.count(),
                BUFFER_GROUP,
                0,
            )
        }
        .map_err(|error| unavailable("buffer ring", error))
    }

    /// Queues a request for the next entry into the kernel.
    ///
    /// # Safety
    /// The memory that it names must stay valid, and untouched where the kernel uses it, until the completion without
    /// `more` was reaped.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.encode());
        let entry = if token == Token::Quiet {
            entry.flags(squeue::Flags::SKIP_SUCCESS)
        } else {
            self.outstanding += 1;
            entry
        };
        // SAFETY: as this function's own; nothing else borrows the submission queue.
        if !self.waiting.is_empty() || unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.waiting.push_back(entry);
        }
    }

    /// Submits everything queued, and sleeps until a completion is there or `timeout` is over; `None` = for ever.
    ///
    /// # Errors
    /// When the kernel refuses the ring itself.
    pub(super) fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        while !self.waiting.is_empty() {
            if self.submit_waiting(Some(Duration::ZERO))? == 0 {
                return Ok(());
            }
        }
        self.submit_waiting(timeout).map(drop)
    }

    /// One system call. Returns how many requests it made room for and moved into the queue before it.
    fn submit_waiting(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let mut moved = 0;
        let mut queue = self.uring.submission();
        while let Some(entry) = self.waiting.front() {
            // SAFETY: whoever called `push` with this entry vouched for it.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.waiting.pop_front();
            moved += 1;
        }
        drop(queue);
        let submitter = self.uring.submitter();
        let entered = match timeout {
            None => submitter.submit_and_wait(1),
            Some(Duration::ZERO) => submitter.submit_and_wait(0),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
            }
        };
        match entered {
            Ok(submitted) => Ok(moved + submitted),
            Err(error) => match error.raw_os_error() {
                // Time is up, a signal came, or completions must be reaped first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(moved),
                _ => Err(error),
            },
        }
    }

    /// Moves the completions that are there to `into`, joining receives that go on in the next buffer.
    pub(super) fn reap(&mut self, into: &mut Vec<Completion>) {
        for entry in self.uring.completion() {
            let token = Token::decode(entry.user_data());
            let more = cqueue::more(entry.flags());
            if !more && token != Token::Quiet {
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            let completion = Completion {
                token,
                result: entry.result(),
                more,
                buffer: cqueue::buffer_select(entry.flags()),
                buffers: 1,
            };
            if !into.last_mut().is_some_and(|last| last.absorb(&completion)) {
                into.push(completion);
            }
        }
    }

    pub(super) fn has_completions(&mut self) -> bool {
        !self.uring.completion().is_empty()
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionId;

    fn receive(index: u32, buffer: u16, len: usize, more: bool) -> Completion {
        let id = ConnectionId { index, generation: 7 };
        Completion {
            token: Token::Receive(id),
            result: i32::try_from(len).unwrap(),
            more,
            buffer: Some(buffer),
            buffers: 1,
        }
    }

    #[test]
    fn receives_are_joined_while_they_are_full_and_lie_behind_each_other() {
        let full = ReceiveBuffers::BUFFER_BYTES;
        let mut first = receive(1, 8, full, true);
        assert!(!first.absorb(&receive(2, 9, full, true)), "another connection's");
        assert!(!first.absorb(&receive(1, 10, full, true)), "another place");
        assert!(!first.absorb(&receive(1, 9, 0, false)), "the end of input");
        assert!(first.absorb(&receive(1, 9, full, true)));
        assert!(first.absorb(&receive(1, 10, 100, true)));
        assert!(
            !first.absorb(&receive(1, 11, full, true)),
            "the last one was not full"
        );
        assert_eq!((first.buffers, first.result), (3, 2 * full as i32 + 100));
        let mut last = receive(1, 8, full, false);
        assert!(
            !last.absorb(&receive(1, 9, full, true)),
            "it had ended: another receive"
        );
        let mut long = receive(1, 0, full, true);
        let joined = (1..9).filter(|buffer| long.absorb(&receive(1, *buffer, full, true)));
        assert_eq!(joined.count(), usize::from(ReceiveBuffers::MOST_JOINED) - 1);
        let mut none = receive(1, u16::MAX, full, true);
        none.buffer = None;
        let mut ended = receive(1, 0, full, true);
        ended.buffer = None;
        assert!(!none.absorb(&ended), "neither has a buffer");
    }

    #[test]
    fn a_ring_is_smaller_where_memory_is_short_and_nothing_else_is_tried_again() {
        let attempt = |errno: i32, fits: u32| {
            let mut asked = Vec::new();
            let made = as_large_as_fits(|submissions| {
                asked.push(submissions);
                let refused = || unavailable("setup", io::Error::from_raw_os_error(errno));
                (submissions <= fits).then_some(submissions).ok_or_else(refused)
            });
            (made.map_err(|error| error.kind()), asked)
        };
        assert_eq!(attempt(libc::ENOMEM, 1024), (Ok(1024), vec![1024]));
        assert_eq!(attempt(libc::ENOMEM, 100), (Ok(64), vec![1024, 256, 64]));
        let refused = Err(ErrorKind::Unsupported);
        assert_eq!(attempt(libc::ENOMEM, 0), (refused, vec![1024, 256, 64]));
        assert_eq!(attempt(libc::EPERM, 0), (refused, vec![1024]));
    }
}
