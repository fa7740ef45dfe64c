//! `Range` and `If-None-Match` for services that answer GET from bytes they can address.

use std::{fmt, ops::Range};

/// What a `Range` field asks of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// Everything: no field, or one that a server may ignore (another unit, several ranges, bad syntax). Answer 200.
    Whole,
    /// These bytes. Answer 206 with [`content_range`].
    Part(Range<u64>),
    /// Nothing of what is there. Answer 416 with [`unsatisfied_range`].
    Unsatisfiable,
}

/// What a `Range` field asks for, before the length is known. Copied freely; holds no text.
///
/// ```
/// use quintet_net::http1::{RangeRequest, RangeSpec};
/// let spec = RangeSpec::parse(Some("bytes=-5"));
/// assert_eq!(spec.resolve(100), RangeRequest::Part(95..100));
/// assert_eq!(spec.resolve(3), RangeRequest::Part(0..3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSpec {
    /// Everything: no field, or one that a server may ignore.
    #[default]
    Whole,
    /// From this byte to that one, which is included; `u64::MAX` = to the end.
    Bytes(u64, u64),
    /// So many bytes at the end.
    Suffix(u64),
}

impl RangeSpec {
    /// Reads the value of a `Range` field.
    #[must_use]
    pub fn parse(field: Option<&str>) -> Self {
        let Some((unit, range)) = field.and_then(|field| field.trim().split_once('=')) else {
            return Self::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let Some((first, last)) = range.trim().split_once('-') else {
            return Self::Whole;
        };
        match (number(first), number(last)) {
            (Number::Absent, Number::Value(suffix)) => Self::Suffix(suffix),
            (Number::Value(first), Number::Value(last)) if last >= first => Self::Bytes(first, last),
            (Number::Value(first), Number::Absent) => Self::Bytes(first, u64::MAX),
            _ => Self::Whole,
        }
    }

    /// What that is of `length_bytes`.
    #[must_use]
    pub fn resolve(self, length_bytes: u64) -> RangeRequest {
        match self {
            Self::Whole => RangeRequest::Whole,
            Self::Suffix(0) => RangeRequest::Unsatisfiable,
            Self::Suffix(_) if length_bytes == 0 => RangeRequest::Unsatisfiable,
            Self::Suffix(suffix) => RangeRequest::Part(length_bytes.saturating_sub(suffix)..length_bytes),
            Self::Bytes(first, _) if first >= length_bytes => RangeRequest::Unsatisfiable,
            Self::Bytes(first, last) => RangeRequest::Part(first..last.saturating_add(1).min(length_bytes)),
        }
    }
}

/// Resolves the value of a `Range` field against a length in bytes.
///
/// ```
/// use quintet_net::http1::{RangeRequest, requested_range};
/// assert_eq!(requested_range(Some("bytes=10-19"), 100), RangeRequest::Part(10..20));
/// assert_eq!(requested_range(Some("bytes=-5"), 100), RangeRequest::Part(95..100));
/// assert_eq!(requested_range(Some("bytes=100-"), 100), RangeRequest::Unsatisfiable);
/// assert_eq!(requested_range(None, 100), RangeRequest::Whole);
/// ```
#[must_use]
pub fn requested_range(field: Option<&str>, length_bytes: u64) -> RangeRequest {
    RangeSpec::parse(field).resolve(length_bytes)
}

enum Number {
    Absent,
    Bad,
    Value(u64),
}

/// Digits only. A number beyond 64 bits is beyond every length too, so it is as good as the largest.
fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Absent;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    Number::Value(text.parse().unwrap_or(u64::MAX))
}

/// The value of `Content-Range` for an answer 206 with these bytes of `length_bytes`.
#[must_use]
pub fn content_range(part: &Range<u64>, length_bytes: u64) -> impl fmt::Display + use<> {
    format!(
        "bytes {}-{}/{length_bytes}",
        part.start,
        part.end.saturating_sub(1)
    )
}

/// The value of `Content-Range` for an answer 416.
#[must_use]
pub fn unsatisfied_range(length_bytes: u64) -> impl fmt::Display + use<> {
    format!("bytes */{length_bytes}")
}

/// Whether `If-None-Match` lists this entity tag (written with its quotes), so that a GET is answered 304. The
/// comparison is the weak one.
///
/// ```
/// use quintet_net::http1::none_match;
/// assert!(none_match(Some("\"a\", W/\"b\""), "\"b\""));
/// assert!(!none_match(Some("\"a\""), "\"b\""));
/// ```
#[must_use]
pub fn none_match(field: Option<&str>, etag: &str) -> bool {
    let bare = |tag: &str| -> String { tag.trim().trim_start_matches("W/").to_owned() };
    field.is_some_and(|field| field.trim() == "*" || field.split(',').any(|tag| bare(tag) == bare(etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_range() {
        let part = RangeRequest::Part;
        let table = [
            ("bytes=0-0", 10, part(0..1)),
            ("bytes=0-99", 10, part(0..10)),
            ("bytes=3-", 10, part(3..10)),
            ("bytes=-3", 10, part(7..10)),
            ("bytes=-30", 10, part(0..10)),
            ("bytes=-0", 10, RangeRequest::Unsatisfiable),
            ("bytes=10-", 10, RangeRequest::Unsatisfiable),
            ("bytes=0-", 0, RangeRequest::Unsatisfiable),
            ("bytes=99999999999999999999-", 10, RangeRequest::Unsatisfiable),
            ("bytes=1-99999999999999999999", 10, part(1..10)),
            ("BYTES=1-2", 10, part(1..3)),
            ("bytes=5-3", 10, RangeRequest::Whole),
            ("bytes=0-1,4-5", 10, RangeRequest::Whole),
            ("bytes=-", 10, RangeRequest::Whole),
            ("bytes=+1-2", 10, RangeRequest::Whole),
            ("lines=1-2", 10, RangeRequest::Whole),
            ("1-2", 10, RangeRequest::Whole),
        ];
        for (field, length_bytes, expected) in table {
            assert_eq!(
                requested_range(Some(field), length_bytes),
                expected,
                "{field} of {length_bytes}"
            );
        }
        assert_eq!(content_range(&(3..10), 10).to_string(), "bytes 3-9/10");
        assert_eq!(unsatisfied_range(10).to_string(), "bytes */10");
    }

    #[test]
    fn entity_tags() {
        assert!(none_match(Some("*"), "\"x\""));
        assert!(none_match(Some("W/\"x\""), "\"x\""));
        assert!(!none_match(None, "\"x\""));
    }
}
