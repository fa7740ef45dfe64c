//! The in-flight table: sends that the kernel has not completed, with the bytes they send.
//!
//! Invariant: from its submission to its completion a flight stays in the table, boxed, and is not written to: the kernel
//! reads its header, its slices and the batch's bytes. The connection may end meanwhile; the flight lives on.

use crate::{ConnectionId, outbox::MAX_SLICES, outbox::batch::Batch};
use io_uring::{opcode, squeue, types::Fd};
use slab::Slab;
use std::{os::fd::RawFd, ptr};

/// Unused flights kept for reuse.
const KEPT: usize = 64;

/// One send.
pub(super) struct Flight {
    pub(super) id: ConnectionId,
    pub(super) batch: Batch,
    socket: RawFd,
    slices: [libc::iovec; MAX_SLICES],
    header: libc::msghdr,
}

const NO_SLICE: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

impl Flight {
    fn new() -> Self {
        Self {
            id: ConnectionId {
                index: 0,
                generation: 0,
            },
            batch: Batch::default(),
            socket: -1,
            slices: [NO_SLICE; MAX_SLICES],
            header: libc::msghdr {
                msg_name: ptr::null_mut(),
                msg_namelen: 0,
                msg_iov: ptr::null_mut(),
                msg_iovlen: 0,
                msg_control: ptr::null_mut(),
                msg_controllen: 0,
                msg_flags: 0,
            },
        }
    }

    /// The request that sends what is left of the batch. It points into this flight.
    fn entry(&mut self) -> squeue::Entry {
        let mut count = 0;
        for (slot, bytes) in self.slices.iter_mut().zip(self.batch.slices()) {
            *slot = libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            };
            count += 1;
        }
        let (socket, first) = (Fd(self.socket), self.slices[0]);
        if count == 1 {
            // A longer run takes another send.
            let len = u32::try_from(first.iov_len).unwrap_or(1 << 30);
            return opcode::Send::new(socket, first.iov_base.cast(), len)
                .flags(libc::MSG_NOSIGNAL)
                .build();
        }
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = count;
        opcode::SendMsg::new(socket, &raw const self.header)
            .flags(libc::MSG_NOSIGNAL.unsigned_abs())
            .build()
    }
}

/// All of a loop's sends.
#[derive(Default)]
pub(super) struct Flights {
    table: Slab<Box<Flight>>,
    #[expect(
        clippy::vec_box,
        reason = "a flight keeps its place in memory, also between its uses"
    )]
    spare: Vec<Box<Flight>>,
}

impl Flights {
    /// A flight with an empty batch to fill.
    pub(super) fn take(&mut self, id: ConnectionId, socket: RawFd) -> Box<Flight> {
        let mut flight = self.spare.pop().unwrap_or_else(|| Box::new(Flight::new()));
        flight.id = id;
        flight.socket = socket;
        flight
    }

    /// Takes back a flight whose batch is empty.
    pub(super) fn recycle(&mut self, flight: Box<Flight>) {
        if self.spare.len() < KEPT {
            self.spare.push(flight);
        }
    }

    /// Puts a flight into the table. The request must be submitted, and its completion [landed](Self::land).
    pub(super) fn launch(&mut self, flight: Box<Flight>) -> Option<(u32, squeue::Entry)> {
        let slot = self.table.vacant_entry();
        let number = u32::try_from(slot.key()).ok()?;
        Some((number, slot.insert(flight).entry()))
    }

    /// Takes a flight out of the table: its completion came.
    pub(super) fn land(&mut self, number: u32) -> Option<Box<Flight>> {
        self.table.try_remove(number as usize)
    }
}
