//! An answer, and the bytes it becomes.

use crate::{Payload, connection::Link};
use std::{fmt::Display, io::Write};

/// Room for the header lines of a usual answer, so that they are allocated once.
const LINES_BYTES: usize = 160;

/// An answer to one request. `Content-Length`, `Connection` and `Date` are the machine's to write.
///
/// ```
/// use quintet_net::http1::Response;
/// let response = Response::new(200).header("ETag", "\"abc\"").body(b"hello".to_vec());
/// assert_eq!(response.status(), 200);
/// ```
#[derive(Debug)]
pub struct Response {
    status: u16,
    /// Complete header lines.
    lines: Vec<u8>,
    body: Payload,
    close: bool,
}

impl Response {
    /// An answer without body. Allocates nothing.
    ///
    /// # Panics
    /// When `status` is not a final status, 200 to 999.
    #[must_use]
    pub fn new(status: u16) -> Self {
        assert!((200..1000).contains(&status), "{status} is not a final status");
        Self {
            status,
            lines: Vec::new(),
            body: Payload::Empty,
            close: false,
        }
    }

    /// One line of plain text, its line end added.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn text(status: u16, line: impl Display) -> Self {
        Self::new(status)
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(format!("{line}\n").into_bytes())
    }

    /// The answer for an error: its kind's status and its text.
    #[must_use]
    pub fn error(error: &quintet_core::Error) -> Self {
        Self::text(error.kind().http_status(), error)
    }

    /// Adds a header field. Control characters in the value become spaces, so that no value can add a line.
    ///
    /// # Panics
    /// When `name` is not a token, or one of the fields that the machine writes.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Display) -> Self {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(token),
            "`{name}` is not a header field's name"
        );
        let own = ["content-length", "connection", "date", "transfer-encoding"];
        assert!(
            !own.iter().any(|own| own.eq_ignore_ascii_case(name)),
            "`{name}` is written by the machine"
        );
        self.lines.reserve(LINES_BYTES);
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        let start = self.lines.len();
        // Writing to a Vec cannot fail.
        let _ = write!(self.lines, "{value}");
        for byte in &mut self.lines[start..] {
            if byte.is_ascii_control() && *byte != b'\t' {
                *byte = b' ';
            }
        }
        self.lines.extend_from_slice(b"\r\n");
        self
    }

    /// Adds whole header lines of the program, each with its line end: cheaper than one [`header`](Self::header) each.
    #[must_use]
    pub fn fixed_lines(mut self, lines: &'static str) -> Self {
        debug_assert!(lines.ends_with("\r\n"), "{lines:?} does not end its line");
        self.lines.extend_from_slice(lines.as_bytes());
        self
    }

    /// Sets the body. An answer to `HEAD` states its length and does not send it. With status 204 or 304 it is dropped.
    #[must_use]
    pub fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    /// Ends the connection after this answer.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection ends after this answer.
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// Gives back the body, for a service that reuses its memory when an answer was not wanted any more.
    #[must_use]
    pub fn into_body(self) -> Payload {
        self.body
    }

    /// Queues the answer's bytes.
    pub(crate) fn send(self, link: &mut Link<'_>, style: Style<'_>) {
        let bodiless = matches!(self.status, 204 | 304);
        let length_bytes = self.body.len_bytes();
        link.write_with(|out| {
            out.extend_from_slice(b"HTTP/1.1 ");
            match phrase(self.status) {
                Some(line) => out.extend_from_slice(line.as_bytes()),
                None => write_number(out, u64::from(self.status)),
            }
            out.extend_from_slice(if phrase(self.status).is_some() {
                b"\r\n"
            } else {
                b" \r\n"
            });
            out.extend_from_slice(style.date);
            out.extend_from_slice(&self.lines);
            if !bodiless {
                out.extend_from_slice(b"Content-Length: ");
                write_number(out, length_bytes);
                out.extend_from_slice(b"\r\n");
            }
            if !style.keep_alive {
                out.extend_from_slice(b"Connection: close\r\n");
            } else if style.old_version {
                out.extend_from_slice(b"Connection: keep-alive\r\n");
            }
            out.extend_from_slice(b"\r\n");
        });
        if !bodiless && !style.head_only {
            link.push(self.body);
        }
    }
}

/// How an answer is written, apart from what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    pub(crate) keep_alive: bool,
    /// The client speaks HTTP/1.0 and must be told that the connection stays.
    pub(crate) old_version: bool,
    pub(crate) head_only: bool,
    /// The whole `Date` line, or nothing.
    pub(crate) date: &'a [u8],
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The status with its registered reason phrase.
fn phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "200 OK",
        201 => "201 Created",
        202 => "202 Accepted",
        204 => "204 No Content",
        206 => "206 Partial Content",
        304 => "304 Not Modified",
        400 => "400 Bad Request",
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        408 => "408 Request Timeout",
        409 => "409 Conflict",
        411 => "411 Length Required",
        412 => "412 Precondition Failed",
        413 => "413 Content Too Large",
        414 => "414 URI Too Long",
        415 => "415 Unsupported Media Type",
        416 => "416 Range Not Satisfiable",
        417 => "417 Expectation Failed",
        422 => "422 Unprocessable Content",
        429 => "429 Too Many Requests",
        431 => "431 Request Header Fields Too Large",
        500 => "500 Internal Server Error",
        501 => "501 Not Implemented",
        503 => "503 Service Unavailable",
        504 => "504 Gateway Timeout",
        505 => "505 HTTP Version Not Supported",
        507 => "507 Insufficient Storage",
        _ => return None,
    })
}
