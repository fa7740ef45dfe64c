//! Locks over HTTP: `PATCH`, `GET` and `DELETE` below `/lock/`.
//!
//! `PATCH /lock/{name}/{resource}` keeps its body, at most 4 KiB, with the lock; a second one replaces it. `GET /lock/{name}`
//! lists the locks as JSON, `GET /lock/{name}/{resource}` answers one body as it came. A resource is the rest of the path
//! as it stands, 1 to 255 bytes without a slash; nothing in it is decoded.

use super::{
    answer,
    buffers::Lease,
    exchange::{Exchange, Locking},
    json::Json,
    order::Kind,
    service::BlockService,
};
use crate::{Digest, Lock, MAX_LOCK_BYTES};
use quintet_core::{ErrorKind, SizeClass};
use quintet_net::http1::{Admit, BodyLength, ExchangeId, RequestHead, Response};
use std::fmt::Write;

impl BlockService {
    /// A head of `PATCH`: its body is gathered, however it is framed.
    pub(super) fn admit_lock(
        &mut self,
        head: &RequestHead<'_>,
        digest: Digest,
        resource: &str,
    ) -> Admit<Exchange> {
        if self.is_crowded() {
            return Admit::Answer(answer::busy("too many requests wait"));
        }
        if let BodyLength::Exact(len_bytes) = head.body()
            && len_bytes > MAX_LOCK_BYTES as u64
        {
            return Admit::Answer(Response::text(
                413,
                format_args!("a lock keeps at most {MAX_LOCK_BYTES} bytes, this body has {len_bytes}"),
            ));
        }
        let Some(body) = self.buffers.take(SizeClass::SMALLEST) else {
            return Admit::Answer(answer::busy("no buffer is free"));
        };
        Admit::Accept {
            exchange: Exchange::Lock(Locking::new(digest, resource), body),
            max_body_bytes: MAX_LOCK_BYTES as u64,
        }
    }

    pub(super) fn lock(
        &mut self,
        id: ExchangeId,
        exchange: &mut Exchange,
        locking: Locking,
        body: Lease,
    ) -> Option<Response> {
        match self
            .worker
            .lock(&locking.digest, &locking.resource, body.as_ref())
        {
            Ok(ticket) => self.asked(ticket, Kind::Delete, id, Default::default()),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                *exchange = Exchange::Lock(locking, body);
                self.unsent.push_back((Kind::Delete, id));
                None
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    pub(super) fn unlock(
        &mut self,
        id: ExchangeId,
        exchange: &mut Exchange,
        locking: Locking,
    ) -> Option<Response> {
        match self.worker.unlock(&locking.digest, &locking.resource) {
            Ok(ticket) => self.asked(ticket, Kind::Delete, id, Default::default()),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                *exchange = Exchange::Unlock(locking);
                self.unsent.push_back((Kind::Delete, id));
                None
            }
            Err(error) => Some(answer::failed(&error)),
        }
    }

    /// What is locked, from the durable records; an empty resource asks for the list.
    pub(super) fn locks(&self, locking: &Locking) -> Response {
        let locks = match self.worker.locks(&locking.digest) {
            Ok(Some(locks)) => locks,
            Ok(None) => return answer::missing(&locking.digest),
            Err(error) => return answer::failed(&error),
        };
        if locking.resource.is_empty() {
            return answer::json(list(&locking.digest, &locks));
        }
        let Some(lock) = locks.into_iter().find(|lock| lock.resource == locking.resource) else {
            let (digest, resource) = (locking.digest, locking.resource.clone());
            return answer::failed(&crate::BlockError::NoLock { digest, resource }.into());
        };
        Response::new(200)
            .header("Content-Type", "application/octet-stream")
            .body(lock.body)
    }
}

/// The locks as JSON: a body that is text as it is, another in hexadecimal digits.
fn list(digest: &Digest, locks: &[Lock]) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.text("block", &digest.to_string());
        json.key("locks");
        json.array(locks.len(), |json, at| {
            let Lock { resource, body } = &locks[at];
            json.object(|json| {
                json.text("resource", &String::from_utf8_lossy(resource));
                json.numbers(&[("body_bytes", body.len() as u64)]);
                match std::str::from_utf8(body) {
                    Ok(text) => json.text("body", text),
                    Err(_) => json.text("body_hex", &hex(body)),
                }
            });
        });
    });
    json.into_text()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
