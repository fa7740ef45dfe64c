//! How a name becomes bytes whose order is the order of names, and which no other name or separator can look like.
//!
//! A name that reads as a 32-bit integer is `02`, the integer (big-endian, sign flipped), the number of leading zeros. Any
//! other is `03`, its UTF-8 with `00` written as `00 ff`, `00`. So integers come first, by number; then texts, by code
//! point; and what follows a whole name is never `ff`. The order is Firebase's. Called by [`Path`](super::Path) and by
//! whoever reads rows.

use std::borrow::Cow;

const INTEGER: u8 = 2;
const TEXT: u8 = 3;
/// Above every tag of a name: `path ++ [AFTER_NAMES]` is behind everything below `path`.
pub(crate) const AFTER_NAMES: u8 = 4;
const ESCAPE: u8 = 0xff;
const INTEGER_LEN: usize = 6;
/// A number with more leading zeros than this is a text.
const MAX_ZEROS: usize = 254;

/// The integer that a name stands for, and its leading zeros.
fn integer(name: &str) -> Option<(i32, u8)> {
    let (negative, digits) = match name.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, name),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let zeros = if significant.is_empty() {
        digits.len() - 1
    } else {
        digits.len() - significant.len()
    };
    if zeros > MAX_ZEROS || significant.len() > 10 || (negative && significant.is_empty()) {
        return None;
    }
    let magnitude: i64 = if significant.is_empty() {
        0
    } else {
        significant.parse().ok()?
    };
    let number = i32::try_from(if negative { -magnitude } else { magnitude }).ok()?;
    Some((number, zeros as u8))
}

/// Appends the bytes of one name, which must not be empty.
pub(crate) fn push(out: &mut Vec<u8>, name: &str) {
    // Most names begin with a letter: those are no integers.
    let may_be_integer = matches!(name.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
    if let Some((number, zeros)) = may_be_integer.then(|| integer(name)).flatten() {
        out.push(INTEGER);
        out.extend_from_slice(&((number as u32) ^ 0x8000_0000).to_be_bytes());
        out.push(zeros);
        return;
    }
    out.push(TEXT);
    let mut rest = name.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == 0) {
        out.extend_from_slice(&rest[..=at]);
        out.push(ESCAPE);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(0);
}

/// Appends the bytes of the name of a place in an array.
pub(crate) fn push_place(out: &mut Vec<u8>, place: usize) {
    match i32::try_from(place) {
        Ok(number) => {
            out.push(INTEGER);
            out.extend_from_slice(&((number as u32) ^ 0x8000_0000).to_be_bytes());
            out.push(0);
        }
        Err(_) => push(out, &place.to_string()),
    }
}

/// The length of the name that `bytes` begin with; `None` = it is not one.
pub(crate) fn first_len(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        INTEGER => (bytes.len() >= INTEGER_LEN).then_some(INTEGER_LEN),
        TEXT => {
            let mut at = 1;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
                if bytes.get(at) != Some(&ESCAPE) {
                    return Some(at);
                }
                at += 1;
            }
        }
        _ => None,
    }
}

/// The name that exactly `bytes` stand for; `None` = they are not one.
pub(crate) fn name(bytes: &[u8]) -> Option<Cow<'_, str>> {
    match *bytes.first()? {
        INTEGER => {
            let number = bytes.get(1..5)?.try_into().ok()?;
            let number = (u32::from_be_bytes(number) ^ 0x8000_0000) as i32;
            let zeros = usize::from(*bytes.get(5)?);
            let sign = if number < 0 { "-" } else { "" };
            let magnitude = number.unsigned_abs();
            Some(Cow::Owned(format!("{sign}{}{magnitude}", "0".repeat(zeros))))
        }
        TEXT => {
            let body = bytes.get(1..bytes.len().checked_sub(1)?)?;
            if !body.contains(&0) {
                return std::str::from_utf8(body).ok().map(Cow::Borrowed);
            }
            let mut plain = Vec::with_capacity(body.len());
            let mut escaped = false;
            for byte in body {
                if !(escaped && *byte == ESCAPE) {
                    plain.push(*byte);
                }
                escaped = *byte == 0;
            }
            String::from_utf8(plain).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

/// Whether `key` is `path` or below it. Both are whole names.
pub(crate) fn is_within(key: &[u8], path: &[u8]) -> bool {
    key.starts_with(path) && key.get(path.len()) != Some(&ESCAPE)
}

/// The place in an array that a name stands for: a whole number from 0 on, without needless zeros.
pub(crate) fn array_place(bytes: &[u8]) -> Option<usize> {
    let [INTEGER, a, b, c, d, 0] = *bytes else {
        return None;
    };
    let number = u32::from_be_bytes([a, b, c, d]).checked_sub(0x8000_0000)?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, text);
        out
    }

    #[test]
    fn integers_come_first_by_number_then_texts() {
        let ordered = [
            "-2147483648",
            "-10",
            "-9",
            "-1",
            "0",
            "00",
            "1",
            "2",
            "02",
            "10",
            "2147483647",
            "!",
            "-",
            "-0",
            "1.5",
            "2147483648",
            "99999999999",
            "A",
            "a",
            "a\0",
            "a\0\0",
            "a\u{1}",
            "ab",
            "b",
            "é",
            "\u{10ffff}",
        ];
        for pair in ordered.windows(2) {
            assert!(bytes(pair[0]) < bytes(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_place_has_the_bytes_of_its_name() {
        for place in [0, 1, 9, 10, 255, 256, i32::MAX as usize, i32::MAX as usize + 1] {
            let mut out = Vec::new();
            push_place(&mut out, place);
            assert_eq!(out, bytes(&place.to_string()), "{place}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back_and_keep_apart(a in "[-0-9a-c\0/\u{e9}]{1,6}", b in "[-0-9a-c\0/]{1,6}") {
            let (x, y) = (bytes(&a), bytes(&b));
            prop_assert_eq!(name(&x).unwrap(), a.as_str());
            prop_assert_eq!(x == y, a == b);
            let both = [x.as_slice(), y.as_slice()].concat();
            prop_assert_eq!(first_len(&both), Some(x.len()));
            prop_assert!(is_within(&both, &x));
            prop_assert_eq!(is_within(&y, &x), a == b);
        }
    }
}
