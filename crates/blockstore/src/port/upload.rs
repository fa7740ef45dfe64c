//! A body on its way into its block, and to its name.
//!
//! One of known length goes straight from the loop's read buffer into its block, 64 KiB at a time; only a chunked one is
//! gathered first, because its length, and so its size class, is known at its end. Digests of bodies that come in together
//! are made together, at the latest at the beginning of the turn; then each is named, in its turn on its connection.

use super::{
    answer,
    buffers::Lease,
    exchange::{Exchange, Permit, Wants},
    order::Kind,
    service::{BlockService, Hungry},
    sha256::{Batch, Hash},
};
use crate::{Digest, Put};
use quintet_core::{ErrorKind, Result, SizeClass};
use quintet_net::http1::{Admit, BodyLength, ExchangeId, Replies, RequestHead, Response};
use std::{cell::RefCell, rc::Rc};

/// A put and its digest in the making.
pub(crate) struct Upload {
    put: Put,
    hash: Rc<RefCell<Hash>>,
}

impl Upload {
    pub(super) fn new(put: Put) -> Self {
        let hash = Rc::new(RefCell::new(Hash::new()));
        Self { put, hash }
    }

    /// Writes the next bytes into the block. As [`Put::write`].
    pub(super) fn write(&mut self, bytes: &[u8], hashes: &mut Batch) -> Result<()> {
        self.put.write_unhashed(bytes)?;
        hashes.update(&self.hash, bytes);
        Ok(())
    }

    /// The body is whole.
    pub(super) fn finish(&self, hashes: &mut Batch) {
        hashes.finish(&self.hash);
    }

    /// `None` = not before the next run of the hashes.
    fn digest(&self) -> Option<Digest> {
        self.hash.borrow().digest()
    }
}

impl BlockService {
    pub(super) fn admit_put(&mut self, id: ExchangeId, head: &RequestHead<'_>) -> Admit<Exchange> {
        let largest = SizeClass::LARGEST.size_bytes();
        if self.is_crowded() {
            return Admit::Answer(answer::busy("too many uploads wait for space"));
        }
        let accept = |exchange, max_body_bytes| Admit::Accept {
            exchange,
            max_body_bytes,
        };
        match head.body() {
            BodyLength::None | BodyLength::Exact(0) => Admit::Answer(answer::length_required()),
            BodyLength::Exact(len_bytes) if len_bytes > largest => {
                Admit::Answer(answer::too_large(len_bytes))
            }
            BodyLength::Exact(len_bytes) => {
                let Some(permit) = Permit::take(&self.uploads, self.limits.uploads) else {
                    return Admit::Answer(answer::busy("too many uploads are open"));
                };
                match self.begin(len_bytes) {
                    Ok(Some(put)) => accept(Exchange::Writing(Upload::new(put), permit), len_bytes),
                    Ok(None) => {
                        self.hungry.push_back(Hungry { id, begun: false });
                        accept(Exchange::Hungry { len_bytes, permit }, len_bytes)
                    }
                    Err(error) => Admit::Answer(answer::failed(&error)),
                }
            }
            BodyLength::Chunked => match self.buffers.take(SizeClass::SMALLEST) {
                Some(lease) => accept(Exchange::Gathering(lease), largest),
                None => Admit::Answer(answer::busy("no buffer is free")),
            },
        }
    }

    /// Takes a block for a PUT that has not waited yet. A refusal that is left over from an earlier PUT says nothing about
    /// now, so the first one is not believed; the second call asks the controller.
    fn begin(&mut self, len_bytes: u64) -> Result<Option<Put>> {
        match self.worker.begin_put(len_bytes) {
            Err(error) if error.kind() == ErrorKind::Full => self.worker.begin_put(len_bytes),
            other => other,
        }
    }

    /// A gathered body needs a block of the right size, now that its length is known.
    pub(super) fn place(
        &mut self,
        id: ExchangeId,
        exchange: &mut Exchange,
        lease: Lease,
    ) -> Option<Response> {
        match self.begin(lease.len() as u64) {
            Ok(Some(put)) => self.write_gathered(id, exchange, put, &lease),
            Ok(None) => {
                *exchange = Exchange::Gathered(lease);
                self.hungry.push_back(Hungry { id, begun: true });
                None
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    /// Writes a gathered body into its block and names it.
    pub(super) fn write_gathered(
        &mut self,
        id: ExchangeId,
        exchange: &mut Exchange,
        mut put: Put,
        lease: &Lease,
    ) -> Option<Response> {
        match put.write_unhashed(lease.as_ref()) {
            Ok(()) => {
                let hash = Rc::new(RefCell::new(Hash::of(lease.as_ref())));
                self.name(id, exchange, Upload { put, hash })
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    pub(super) fn name(
        &mut self,
        id: ExchangeId,
        exchange: &mut Exchange,
        upload: Upload,
    ) -> Option<Response> {
        let Some(digest) = upload.digest() else {
            *exchange = Exchange::Written(upload);
            self.unnamed.push(id);
            return None;
        };
        let Upload { put, hash } = upload;
        match self.worker.finish_put_as(put, digest) {
            Ok(ticket) => self.asked(ticket, Kind::Put, id, Wants::default()),
            Err(refused) if refused.error.kind() == ErrorKind::Unavailable => {
                let put = refused.item;
                *exchange = Exchange::Written(Upload { put, hash });
                self.unsent.push_back((Kind::Put, id));
                None
            }
            Err(refused) => Some(answer::failed(&refused.error)),
        }
    }

    /// Makes the digests that are due, and names what waited for them; once a turn.
    pub(super) fn name_hashed(&mut self, replies: &mut Replies<'_, '_, Exchange>) {
        if !self.hashes.run(!self.unnamed.is_empty()) {
            return;
        }
        let mut unnamed = std::mem::take(&mut self.unnamed);
        for id in unnamed.drain(..) {
            self.start_again(Kind::Put, id, replies);
        }
        self.unnamed = unnamed;
    }
}
