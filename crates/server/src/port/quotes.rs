//! [`Quotes`]: a connection on which a `"` in a request's first line reads as `%22`.
//!
//! Firebase's own examples have quotes in URLs, `…?orderBy="height"`, and `curl` sends them so; the HTTP library refuses a
//! query with one before anybody sees the request. Invariant: nothing but first lines is changed. Where one begins is known
//! as long as every head before it was followed by no body, or by one whose length its only `Content-Length` tells; after
//! any other nothing is changed any more.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is kept of a header's line: enough for a name and a length. A longer one is neither.
const KEPT_BYTES: usize = 64;

/// The connection.
pub(super) struct Quotes<S> {
    stream: S,
    at: At,
    /// What did not fit the reader's buffer once it was longer.
    waiting: Vec<u8>,
    handed_on: usize,
}

/// Where in the requests the next byte is.
enum At {
    /// In the first line of a request, or before it: empty lines there are passed over.
    First { has_begun: bool },
    /// In a line of its head.
    Header { line: Vec<u8>, body: Length },
    /// In its body: so many bytes are left.
    Body(u64),
    /// It is not known, nor will it be.
    Lost,
}

/// How long a body is.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    /// Nothing was said yet: there is none.
    Unsaid,
    Said(u64),
    Unknown,
}

impl<S> Quotes<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            at: At::First { has_begun: false },
            waiting: Vec::new(),
            handed_on: 0,
        }
    }
}

impl At {
    /// Goes on behind these bytes; answers them with their quotes rewritten, if there were any to rewrite.
    fn pass(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut rewritten: Option<Vec<u8>> = None;
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = match self {
                Self::Lost => rest.len(),
                Self::Body(left) => usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len())),
                Self::First { .. } | Self::Header { .. } => line_len(rest),
            };
            let (here, behind) = rest.split_at(len);
            if matches!(self, Self::First { .. }) && here.contains(&b'"') {
                let before = bytes.len() - rest.len();
                let out = rewritten.get_or_insert_with(|| bytes[..before].to_vec());
                for byte in here {
                    match byte {
                        b'"' => out.extend_from_slice(b"%22"),
                        other => out.push(*other),
                    }
                }
            } else if let Some(out) = &mut rewritten {
                out.extend_from_slice(here);
            }
            self.go_on(here);
            rest = behind;
        }
        rewritten
    }

    /// Goes on behind a line or a part of one, or a part of a body.
    fn go_on(&mut self, here: &[u8]) {
        let ended = here.ends_with(b"\n");
        match self {
            Self::Lost => {}
            Self::Body(left) => {
                *left -= here.len() as u64;
                if *left == 0 {
                    *self = Self::First { has_begun: false };
                }
            }
            Self::First { has_begun } => {
                *has_begun |= here.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
                if ended && *has_begun {
                    *self = Self::Header {
                        line: Vec::new(),
                        body: Length::Unsaid,
                    };
                }
            }
            Self::Header { line, body } => {
                line.extend_from_slice(
                    &here[..here.len().min(KEPT_BYTES + 1 - line.len().min(KEPT_BYTES + 1))],
                );
                if !ended {
                    return;
                }
                if line != b"\n" && line != b"\r\n" {
                    *body = body.after(line);
                    line.clear();
                    return;
                }
                *self = match *body {
                    Length::Unsaid | Length::Said(0) => Self::First { has_begun: false },
                    Length::Said(bytes) => Self::Body(bytes),
                    Length::Unknown => Self::Lost,
                };
            }
        }
    }
}

impl Length {
    /// What is known after this line of a head.
    fn after(self, line: &[u8]) -> Self {
        let is_short = line.len() <= KEPT_BYTES;
        let line = line.trim_ascii_end();
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], line[colon + 1..].trim_ascii()),
            None => (line, &b""[..]),
        };
        let names = |what: &[u8]| {
            let name = name.trim_ascii();
            name.len() >= what.len() && name[..what.len()].eq_ignore_ascii_case(what)
        };
        if names(b"transfer-encoding")
            || names(b"upgrade")
            || line.first().is_none_or(u8::is_ascii_whitespace)
        {
            return Self::Unknown;
        }
        if !names(b"content-length") {
            return self;
        }
        let is_plain = is_short
            && name.len() == "content-length".len()
            && !value.is_empty()
            && value.iter().all(u8::is_ascii_digit);
        let bytes = std::str::from_utf8(value)
            .ok()
            .and_then(|value| value.parse().ok());
        match (self, bytes) {
            (Self::Unsaid, Some(bytes)) if is_plain => Self::Said(bytes),
            _ => Self::Unknown,
        }
    }
}

/// Up to and including the end of the line, or all there is of it.
fn line_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| end + 1)
}

impl<S: AsyncRead + Unpin> AsyncRead for Quotes<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waiting.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            match this.at.pass(&buffer.filled()[before..]) {
                None => return Poll::Ready(Ok(())),
                Some(rewritten) => {
                    buffer.set_filled(before);
                    this.waiting = rewritten;
                }
            }
        }
        let left = &this.waiting[this.handed_on..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        this.handed_on += count;
        if this.handed_on == this.waiting.len() {
            (this.waiting, this.handed_on) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Quotes<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// What is read of `sent` when it comes in parts of so many bytes, into a buffer of so many.
    fn read(sent: &str, part: usize, room: usize) -> String {
        let parts = sent.as_bytes().chunks(part).map(<[u8]>::to_vec).collect();
        let (mut stream, mut all) = (Quotes::new(Parts(parts)), Vec::new());
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let mut space = vec![0; room];
            let mut buffer = ReadBuf::new(&mut space);
            let polled = Pin::new(&mut stream).poll_read(&mut context, &mut buffer);
            assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
            if buffer.filled().is_empty() {
                return String::from_utf8(all).expect("text");
            }
            all.extend_from_slice(buffer.filled());
        }
    }

    /// Bytes that come in parts.
    struct Parts(Vec<Vec<u8>>);

    impl AsyncRead for Parts {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(first) = self.0.first_mut() {
                let count = first.len().min(buffer.remaining());
                buffer.put_slice(&first[..count]);
                first.drain(..count);
                if first.is_empty() {
                    self.0.remove(0);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    fn expect(sent: &str, expected: &str) {
        for (part, room) in [(usize::MAX, 4096), (1, 4096), (7, 5), (usize::MAX, 1), (13, 64)] {
            assert_eq!(read(sent, part, room), expected, "in parts of {part} into {room}");
        }
    }

    #[test]
    fn quotes_of_first_lines_are_encoded_and_nothing_else_is() {
        expect(
            "GET /a?x=\"b\"&y=\"\" HTTP/1.1\r\nHost: \"h\"\r\n\r\n\r\nGET /?\"c\" HTTP/1.1\nX:\"\n\nGET /\" HTTP/1.1\r\n\r\n",
            "GET /a?x=%22b%22&y=%22%22 HTTP/1.1\r\nHost: \"h\"\r\n\r\n\r\nGET /?%22c%22 HTTP/1.1\nX:\"\n\nGET /%22 HTTP/1.1\r\n\r\n",
        );
        expect(
            "PUT /a HTTP/1.1\r\ncontent-LENGTH:  16 \r\n\r\n\"GET /?\" HTTP/1\"GET /\" HTTP/1.1\r\n\r\n",
            "PUT /a HTTP/1.1\r\ncontent-LENGTH:  16 \r\n\r\n\"GET /?\" HTTP/1\"GET /%22 HTTP/1.1\r\n\r\n",
        );
        expect(
            "PUT /\" HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /\" HTTP/1.1\r\n\r\n",
            "PUT /%22 HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /%22 HTTP/1.1\r\n\r\n",
        );
    }

    #[test]
    fn behind_a_body_of_unknown_length_nothing_is_changed() {
        let long = "9".repeat(80);
        for header in [
            "Transfer-Encoding: chunked",
            "transfer-encoding : chunked",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length:",
            "Content-Length : 1",
            "Content-Length: 99999999999999999999",
            "X: 1\r\n Content-Length: 1",
            "X: 1\r\n ",
            &format!(" {}Content-Length: 1", " ".repeat(80)),
            "Upgrade: websocket",
            &format!("Content-Length: {long}"),
            &format!("Content-Length: {}1", "0".repeat(60)),
        ] {
            let sent = format!("PUT /\" HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\nGET /\" HTTP/1.1\r\n\r\n");
            expect(&sent, &sent.replacen('"', "%22", 1));
        }
    }
}
