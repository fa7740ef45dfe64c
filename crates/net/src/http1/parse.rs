//! The head of a request: where it ends, and whether it means one thing only.
//!
//! Nothing is parsed before the head is complete, so a head means the same however it was cut on the way. Lines must end
//! in CRLF, framing must be stated once and unambiguously, and what another server might read differently is refused:
//! that is what keeps a request from being smuggled past one of two parsers. The grammar itself is `httparse`'s.

use super::{HttpConfig, refusal::Refusal};
use std::mem::MaybeUninit;

/// The most header fields a request can have, whatever the configuration says.
pub(crate) const MAX_HEADERS: usize = 100;

/// How long a request's body is, as its head states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// So many bytes, from `Content-Length`; may be 0.
    Exact(u64),
    /// Unknown until its end, from `Transfer-Encoding: chunked`.
    Chunked,
}

/// The head of a request, lent for one call.
#[derive(Debug)]
pub struct RequestHead<'a> {
    method: &'a str,
    target: &'a str,
    minor_version: u8,
    headers: &'a [httparse::Header<'a>],
    body: BodyLength,
    expects_continue: bool,
    keep_alive: bool,
}

impl<'a> RequestHead<'a> {
    /// The method, in the letters it was sent in: methods are case-sensitive.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The request target as it was sent: path and query, not decoded.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// What follows the first `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    #[must_use]
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// Every header field in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// The first value of a header field, in any letter case. `None` also when the value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let header = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    }

    /// How long the body is.
    #[must_use]
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// Whether the client waits for `100 Continue` before it sends the body. The machine sends it when the head is
    /// accepted.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether the client will use the connection again.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// Looks for the end of the head that begins at `bytes[0]`, from `scanned` on, which is how far an earlier call looked.
/// Returns the length of the head, its empty line included.
pub(crate) fn find_end(bytes: &[u8], scanned: usize, config: &HttpConfig) -> Result<Option<usize>, Refusal> {
    const LONG_LINE: Refusal = Refusal::new(414, "the request line is too long");
    const LONG_HEAD: Refusal = Refusal::new(431, "the request's head is too long");
    if bytes.first().is_some_and(|first| !first.is_ascii_graphic()) {
        return Err(Refusal::bad_request(
            "the request line does not begin with a method",
        ));
    }
    let mut first_line = !bytes[..scanned].contains(&b'\n');
    let mut at = scanned;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += step;
        if first_line && at > config.line_bytes {
            return Err(LONG_LINE);
        }
        if at >= config.head_bytes {
            return Err(LONG_HEAD);
        }
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Refusal::bad_request("a line of the head does not end in CR LF"));
        }
        if at >= 3 && bytes[at - 3..at] == *b"\r\n\r" {
            return Ok(Some(at + 1));
        }
        first_line = false;
        at += 1;
    }
    if first_line && bytes.len() > config.line_bytes {
        return Err(LONG_LINE);
    }
    if bytes.len() > config.head_bytes {
        return Err(LONG_HEAD);
    }
    Ok(None)
}

/// Room for the fields of one head.
pub(crate) type HeaderRoom<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS];

/// Parses a complete head, as [`find_end`] delimits it.
pub(crate) fn parse_head<'h>(
    bytes: &'h [u8],
    room: &'h mut HeaderRoom<'h>,
    config: &HttpConfig,
) -> Result<RequestHead<'h>, Refusal> {
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut room[..config.headers]) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Refusal::bad_request("the request's head is malformed")),
        Err(error) => return Err(refuse(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::bad_request("the request line is incomplete"));
    };
    let mut head = RequestHead {
        method,
        target,
        minor_version,
        headers: request.headers,
        body: BodyLength::None,
        expects_continue: false,
        keep_alive: minor_version == 1,
    };
    read_fields(&mut head)?;
    Ok(head)
}

fn refuse(error: httparse::Error, bytes: &[u8]) -> Refusal {
    let version = || bytes.splitn(4, |byte| *byte == b' ' || *byte == b'\r').nth(2);
    match error {
        httparse::Error::Version if !version().is_some_and(|version| version.starts_with(b"HTTP/")) => {
            Refusal::bad_request("the request line does not end in one space and a version")
        }
        httparse::Error::TooManyHeaders => Refusal::new(431, "the request has too many header fields"),
        httparse::Error::Version => Refusal::new(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
        httparse::Error::HeaderName => Refusal::bad_request("a header field's name is malformed"),
        httparse::Error::HeaderValue => Refusal::bad_request("a header field's value has a forbidden byte"),
        httparse::Error::Token => Refusal::bad_request("the request line is malformed"),
        _ => Refusal::bad_request("the request's head has a malformed line end"),
    }
}

/// Reads the fields that the machine acts on, and refuses what could be read in two ways.
fn read_fields(head: &mut RequestHead<'_>) -> Result<(), Refusal> {
    let (mut hosts, mut length, mut coded) = (0, None, false);
    let (mut closes, mut keeps) = (false, false);
    for header in head.headers {
        let name = header.name;
        // The length rules out most fields before any letter is compared.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => hosts += 1,
            14 if name.eq_ignore_ascii_case("content-length") => {
                let earlier = length.replace(parse_length(header.value)?);
                if earlier.is_some() {
                    return Err(Refusal::bad_request("Content-Length is given twice"));
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if coded {
                    return Err(Refusal::bad_request("Transfer-Encoding is given twice"));
                }
                if !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::new(
                        501,
                        "the only transfer coding known here is chunked",
                    ));
                }
                coded = true;
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::new(
                        417,
                        "the only expectation known here is 100-continue",
                    ));
                }
                head.expects_continue = head.minor_version == 1;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in header.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    closes |= option.eq_ignore_ascii_case(b"close");
                    keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
    }
    head.keep_alive = !closes && (head.minor_version == 1 || keeps);
    if hosts > 1 || (hosts == 0 && head.minor_version == 1) {
        return Err(Refusal::bad_request("exactly one Host field is needed"));
    }
    head.body = match (length, coded) {
        (Some(_), true) => {
            return Err(Refusal::bad_request(
                "Content-Length and Transfer-Encoding exclude each other",
            ));
        }
        (None, true) if head.minor_version == 0 => {
            return Err(Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding"));
        }
        (None, true) => BodyLength::Chunked,
        (Some(length), false) => BodyLength::Exact(length),
        (None, false) => BodyLength::None,
    };
    Ok(())
}

/// Digits only: no sign, no list, no space, and no more than fits.
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::bad_request("Content-Length is not a decimal number"));
    }
    value
        .iter()
        .try_fold(0u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or(Refusal::bad_request("Content-Length is beyond 64 bits"))
}
