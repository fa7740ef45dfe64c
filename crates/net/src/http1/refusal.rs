//! A broken request: the status that it is answered with and the one line that says why.

use super::reply::Response;

/// Why the machine itself refuses a request. The connection ends after the answer: its framing cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    pub(crate) const fn bad_request(reason: &'static str) -> Self {
        Self::new(400, reason)
    }

    pub(crate) fn response(self) -> Response {
        Response::text(self.status, self.reason).close()
    }
}
