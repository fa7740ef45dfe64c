//! [`Decoder`]: bytes to commands, whatever pieces they come in. RESP arrays of bulk strings, and inline lines.
//!
//! A bulk string is taken as it comes, so that the longest command need not fit the loop's buffer; a line is left until it
//! is whole. Errors end the connection, with the words of Redis. So does HTTP: a web page can have a browser post a body
//! of commands here.

use crate::value::Bytes;

/// A line may be so long, its end included.
const MAX_LINE_BYTES: usize = 64 << 10;
/// A command may have so many arguments.
const MAX_ARGUMENTS: i64 = 1 << 20;
/// Room for arguments is taken as they come, not as they are announced.
const RESERVE: usize = 64;

/// What limits a command.
#[derive(Clone, Copy, Debug)]
pub struct DecoderLimits {
    /// The longest argument, in bytes.
    pub max_bulk_bytes: usize,
    /// All arguments of one command, in bytes; each counts 64 bytes more.
    pub max_command_bytes: usize,
}

/// Why a connection's bytes make no sense. The words of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

/// The state between two pieces of input.
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    arguments: Vec<Bytes>,
    /// Arguments of the command that are still to come.
    missing: usize,
    /// The announced length of the argument that has begun.
    bulk: Option<usize>,
    /// What came of it in earlier pieces.
    partial: Vec<u8>,
    command_bytes: usize,
    /// Room for the arguments of the next command.
    spare: Vec<Bytes>,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new(limits: DecoderLimits) -> Self {
        Self {
            limits,
            arguments: Vec::new(),
            missing: 0,
            bulk: None,
            partial: Vec::new(),
            command_bytes: 0,
            spare: Vec::new(),
        }
    }

    /// Takes the arguments of a command that is done, to use their place for the next one.
    pub fn recycle(&mut self, mut arguments: Vec<Bytes>) {
        if self.spare.capacity() < arguments.capacity() && arguments.capacity() <= RESERVE {
            arguments.clear();
            self.spare = arguments;
        }
    }

    /// Takes bytes off the front of `input` until a command is whole. `None` = more must come. An empty command is
    /// skipped.
    ///
    /// # Errors
    /// [`ProtocolError`]: nothing that follows can be understood.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            if let Some(len) = self.bulk {
                if !self.bulk_bytes(len, input)? {
                    return Ok(None);
                }
            } else {
                if self.missing == 0 && input.first().is_some_and(|byte| *byte != b'*') {
                    match inline(input)? {
                        None => return Ok(None),
                        Some(arguments) if arguments.is_empty() => continue,
                        Some(arguments) if is_http(&arguments[0]) => {
                            return Err(error("Protocol error: this is HTTP, which is not spoken here"));
                        }
                        Some(arguments) => return Ok(Some(arguments)),
                    }
                }
                if !self.header(input)? {
                    return Ok(None);
                }
            }
            if self.missing == 0 && self.bulk.is_none() && !self.arguments.is_empty() {
                self.command_bytes = 0;
                return Ok(Some(std::mem::take(&mut self.arguments)));
            }
        }
    }

    /// Reads `*n` or `$n`; `false` = the line is not whole.
    fn header(&mut self, input: &mut &[u8]) -> Result<bool, ProtocolError> {
        let what = if self.missing == 0 { "mbulk" } else { "bulk" };
        let Some(line) = line(input, || format!("Protocol error: too big {what} count string"))? else {
            return Ok(false);
        };
        let (kind, digits) = line
            .split_first()
            .map_or((b'\r', &[][..]), |(kind, digits)| (*kind, digits));
        if self.missing == 0 {
            let count = number(digits).filter(|count| *count <= MAX_ARGUMENTS);
            let count = count.ok_or_else(|| error("Protocol error: invalid multibulk length"))?;
            self.missing = usize::try_from(count).unwrap_or(0);
            self.arguments = std::mem::take(&mut self.spare);
            self.arguments.reserve(self.missing.min(RESERVE));
            return Ok(true);
        }
        if kind != b'$' {
            let got = char::from(kind).escape_default();
            return Err(error(&format!("Protocol error: expected '$', got '{got}'")));
        }
        let len = number(digits).and_then(|len| usize::try_from(len).ok());
        let len = len
            .filter(|len| *len <= self.limits.max_bulk_bytes)
            .ok_or_else(|| error("Protocol error: invalid bulk length"))?;
        self.command_bytes += len + 64;
        if self.command_bytes > self.limits.max_command_bytes {
            return Err(error("Protocol error: command is too long"));
        }
        self.bulk = Some(len);
        Ok(true)
    }

    /// Takes a bulk string's bytes; `false` = some are missing.
    fn bulk_bytes(&mut self, len: usize, input: &mut &[u8]) -> Result<bool, ProtocolError> {
        if self.partial.is_empty() && input.len() >= len + 2 {
            self.end_of_bulk(&input[len..len + 2])?;
            self.arguments.push(input[..len].into());
            *input = &input[len + 2..];
        } else {
            let (taken, rest) = input.split_at(input.len().min(len + 2 - self.partial.len()));
            self.partial.extend_from_slice(taken);
            *input = rest;
            if self.partial.len() < len + 2 {
                return Ok(false);
            }
            self.end_of_bulk(&self.partial[len..])?;
            self.arguments.push(self.partial[..len].into());
            self.partial = Vec::new();
        }
        self.bulk = None;
        self.missing -= 1;
        Ok(true)
    }

    fn end_of_bulk(&self, end: &[u8]) -> Result<(), ProtocolError> {
        if end == b"\r\n" {
            return Ok(());
        }
        Err(error("Protocol error: expected CRLF behind a bulk string"))
    }
}

fn error(text: &str) -> ProtocolError {
    ProtocolError(text.to_owned())
}

/// A line without its end.
fn line<'a>(input: &mut &'a [u8], too_long: impl Fn() -> String) -> Result<Option<&'a [u8]>, ProtocolError> {
    let window = &input[..input.len().min(MAX_LINE_BYTES)];
    let Some(at) = window.iter().position(|byte| *byte == b'\n') else {
        return if input.len() >= MAX_LINE_BYTES {
            Err(error(&too_long()))
        } else {
            Ok(None)
        };
    };
    let line = &input[..at];
    *input = &input[at + 1..];
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn number(digits: &[u8]) -> Option<i64> {
    // Lengths are short, and all that most commands have to be read.
    if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        let number = digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        return Some(number);
    }
    if digits.len() > 20 {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether an inline command is the head of a request over HTTP: the one method that pages may send unasked, or the header
/// that every request has, and first in browsers.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

fn inline(input: &mut &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    let Some(line) = line(input, || "Protocol error: too big inline request".to_owned())? else {
        return Ok(None);
    };
    let unbalanced = || error("Protocol error: unbalanced quotes in request");
    let mut arguments = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.first() else {
            return Ok(Some(arguments));
        };
        let mut word = Vec::new();
        if matches!(first, b'"' | b'\'') {
            let quote = *first;
            rest = quoted(&rest[1..], quote, &mut word).ok_or_else(unbalanced)?;
            if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                return Err(unbalanced());
            }
        } else {
            let end = rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len());
            if rest[..end].iter().any(|byte| matches!(byte, b'"' | b'\'')) {
                return Err(unbalanced());
            }
            word.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        arguments.push(word.into());
    }
}

/// Reads up to the closing quote and answers what follows it.
fn quoted<'a>(mut rest: &'a [u8], quote: u8, word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match *byte {
            byte if byte == quote => return Some(rest),
            b'\\' if quote == b'\'' => match rest.strip_prefix(b"'") {
                Some(after) => {
                    word.push(b'\'');
                    rest = after;
                }
                None => word.push(b'\\'),
            },
            b'\\' => {
                let hex = rest
                    .get(..3)
                    .filter(|hex| hex[0] == b'x')
                    .and_then(|hex| std::str::from_utf8(&hex[1..]).ok());
                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    word.push(byte);
                    rest = &rest[3..];
                    continue;
                }
                let (escaped, after) = rest.split_first()?;
                rest = after;
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
            }
            byte => word.push(byte),
        }
    }
}
