//! [`Problem`]: an error as it leaves the API port: RFC 9457 `application/problem+json`, one shape for every engine.
//!
//! The status comes from the table of [`ErrorKind`], the only one there is. A handler answers a `Problem`; the outermost
//! layer ([`dress`](super::dress)) writes its body, because only that knows the request's id.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use quintet_core::{Error, ErrorKind};
use serde_json::{Map, Value, json};

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// The most bytes of a detail: some tell what was sent, which may be megabytes.
const LONGEST_DETAIL: usize = 4096;
/// What a client that meets back-pressure is told to wait, in seconds.
const RETRY_AFTER_S: &str = "1";

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: String,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of a kind of the workspace's table.
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::of_status(status, kind.as_str(), detail);
        if kind == ErrorKind::Unavailable {
            problem = problem.header(header::RETRY_AFTER, RETRY_AFTER_S);
        }
        problem
    }

    /// The request itself is wrong.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, detail)
    }

    /// A problem of HTTP's own, such as a method that is not allowed.
    pub(crate) fn of_status(status: StatusCode, kind: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.into(),
            detail: shortened(detail.into(), LONGEST_DETAIL),
            members: Map::new(),
            headers: Vec::new(),
        }
    }

    /// Whether it is of this kind.
    pub(crate) fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind.as_str()
    }

    /// What is wrong, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Adds a member of its own to the body.
    #[must_use]
    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The body, with the id by which the request is found again.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let mut title = self.kind.clone();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let slug: String = self
            .kind
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let mut body = json!({
            "type": format!("urn:quintet:problem:{slug}"),
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": request_id,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.members.clone());
        }
        body.to_string().into_bytes()
    }
}

/// The beginning of a text that has more bytes than that, whole characters of it.
pub(super) fn shortened(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    text
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = if error.context().is_empty() {
            error.kind().as_str()
        } else {
            error.context()
        };
        Self::new(error.kind(), detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        assert_eq!(Problem::invalid("x".repeat(4096)).detail(), "x".repeat(4096));
        let cut = Problem::invalid(format!("x{}", "é".repeat(4096)));
        assert_eq!(cut.detail(), format!("x{}…", "é".repeat(2047)));
    }

    #[test]
    fn every_kind_has_its_status_and_a_type() {
        for kind in ErrorKind::ALL {
            let problem = Problem::from(Error::new(kind, "why"));
            let body: Value = serde_json::from_slice(&problem.body("id-1")).expect("JSON");
            assert_eq!(body["status"], kind.http_status());
            assert_eq!(body["detail"], "why");
            assert_eq!(body["request_id"], "id-1");
            let slug = body["type"]
                .as_str()
                .and_then(|text| text.strip_prefix("urn:quintet:problem:"));
            assert!(
                slug.is_some_and(|slug| !slug.is_empty() && !slug.contains([' ', '/'])),
                "{body}"
            );
        }
    }
}
