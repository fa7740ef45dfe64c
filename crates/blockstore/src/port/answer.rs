//! Every answer that is not a block: refusals with their one line of reason, and the text at `/`.

use crate::{BlockError, Digest};
use quintet_core::{Error, ErrorKind};
use quintet_net::{BodySource, Payload, http1::Response};
use std::io;

/// What the port is and what to try, at `/`.
const WELCOME: &str = "\
Quintet block store: immutable blocks of 1 byte to 512 KiB, named by their SHA-256.

  store    echo hello | curl -T - http://HOST/block        answers the name, 64 hexadecimal digits
  read     curl http://HOST/block/NAME                     HEAD answers the length alone
  forget   curl -X DELETE http://HOST/block/NAME
  lock     curl -X PATCH -d 'why' http://HOST/lock/NAME/WHO    a locked block is not deleted
  locks    curl http://HOST/lock/NAME                      end one: DELETE /lock/NAME/WHO
  numbers  curl http://HOST/stats                          and /metrics for collectors
";

/// The answer to a store or a look-up that failed. What may succeed later says when to try again.
pub(crate) fn failed(error: &Error) -> Response {
    let response = Response::error(error);
    match error.kind() {
        ErrorKind::Unavailable => response.header("Retry-After", 1),
        ErrorKind::Unauthenticated => response.header("WWW-Authenticate", "Bearer"),
        _ => response,
    }
}

/// 405, with the methods that are allowed there.
pub(crate) fn not_allowed(allow: &'static str) -> Response {
    Response::text(405, format_args!("this path takes {allow} only")).header("Allow", allow)
}

/// 411: a body must announce its length, and it must not be 0.
pub(crate) fn length_required() -> Response {
    Response::text(
        411,
        "a block needs a Content-Length of 1 to 524288, or a chunked body",
    )
}

/// 413, decided from the head.
pub(crate) fn too_large(len_bytes: u64) -> Response {
    Response::text(
        413,
        format_args!("a block has at most 524288 bytes, this body has {len_bytes}"),
    )
}

/// 503: more requests than the port holds at once.
pub(crate) fn busy(what: &str) -> Response {
    Response::text(503, format_args!("{what}, try again")).header("Retry-After", 1)
}

/// 404 for a name that no block has.
pub(crate) fn missing(digest: &Digest) -> Response {
    failed(&BlockError::NotFound { digest: *digest }.into())
}

/// 200 with the name of what was stored, and no line end.
pub(crate) fn stored(digest: &Digest) -> Response {
    Response::new(200)
        .header("Content-Type", "text/plain; charset=utf-8")
        .body(digest.to_string().into_bytes())
}

/// 200 with a JSON text.
pub(crate) fn json(text: String) -> Response {
    Response::new(200)
        .header("Content-Type", "application/json")
        .body(text.into_bytes())
}

/// 200 with the counters for a metrics collector.
pub(crate) fn open_metrics(text: String) -> Response {
    Response::new(200)
        .header(
            "Content-Type",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )
        .body(text.into_bytes())
}

/// What the port is, with commands that name the host as the client did.
pub(crate) fn welcome(host: Option<&str>) -> Response {
    let host = host
        .filter(|host| !host.is_empty() && host.len() < 256)
        .unwrap_or("HOST");
    Response::new(200)
        .header("Content-Type", "text/plain; charset=utf-8")
        .body(WELCOME.replace("HOST", host).into_bytes())
}

/// A body of which only the length is told, for HEAD.
pub(crate) fn length_only(length_bytes: u64) -> Payload {
    Payload::Stream {
        length_bytes,
        source: Box::new(NeverSent),
    }
}

/// The body of an answer to HEAD: the machine states its length and does not ask for its bytes.
struct NeverSent;

impl BodySource for NeverSent {
    fn fill(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
