//! A client that sends arguments as they are and reads any reply of RESP2 or RESP3.

use std::io::{self, BufRead, BufReader, Read, Write};

#[derive(Clone, PartialEq, PartialOrd)]
pub(super) enum Reply {
    Null,
    NullArray,
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Double(String),
    Bool(bool),
    Verbatim(Vec<u8>),
    /// Its kind, `*`, `~`, `%` or `>`, and its items.
    Items(char, Vec<Reply>),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::NullArray => f.write_str("null array"),
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Int(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Double(text) => write!(f, ",{text}"),
            Self::Bool(value) => write!(f, "#{value}"),
            Self::Verbatim(bytes) => write!(f, "=\"{}\"", bytes.escape_ascii()),
            Self::Items(kind, items) => write!(f, "{kind}{items:?}"),
        }
    }
}

impl Reply {
    /// With everything inside in one order.
    pub(super) fn sorted(&self) -> Self {
        let Self::Items(kind, items) = self else {
            return self.clone();
        };
        let mut items: Vec<Self> = items.iter().map(Self::sorted).collect();
        items.sort_by(|a, b| a.partial_cmp(b).unwrap());
        Self::Items(*kind, items)
    }

    /// With pairs, of the innermost array that has any, in one order.
    pub(super) fn sorted_pairs(&self) -> Self {
        let Self::Items(kind, items) = self else {
            return self.clone();
        };
        if items.iter().any(|item| matches!(item, Self::Items(..))) {
            let inner = items.iter().map(Self::sorted_pairs).collect();
            return Self::Items(*kind, inner);
        }
        let mut pairs: Vec<_> = items.chunks(2).collect();
        pairs.sort_by(|a, b| a.partial_cmp(b).unwrap());
        Self::Items(*kind, pairs.concat())
    }
}

pub(super) struct Client<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Client<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// # Errors
    /// When no answer comes.
    pub(super) fn ask(&mut self, command: &[Vec<u8>]) -> io::Result<Reply> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for word in command {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        if text.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = text[1..].to_owned();
        let number = || rest.parse::<i64>().unwrap();
        Ok(match &text[..1] {
            "+" => Reply::Simple(rest),
            "-" => Reply::Error(rest),
            ":" => Reply::Int(number()),
            "_" => Reply::Null,
            "," => Reply::Double(rest),
            "#" => Reply::Bool(rest == "t"),
            "$" | "=" if number() >= 0 => {
                let mut bytes = vec![0; number() as usize + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                match &text[..1] {
                    "$" => Reply::Bulk(bytes),
                    _ => Reply::Verbatim(bytes),
                }
            }
            "$" => Reply::Null,
            "*" if number() < 0 => Reply::NullArray,
            kind @ ("*" | "~" | "%" | ">") => {
                let count = number() * if kind == "%" { 2 } else { 1 };
                let items = (0..count).map(|_| self.read()).collect::<io::Result<_>>()?;
                Reply::Items(kind.chars().next().unwrap(), items)
            }
            other => panic!("{other:?} begins no reply: {text}"),
        })
    }
}
