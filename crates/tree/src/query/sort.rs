//! The order of values: nothing, false, true, numbers by value, texts by code point, containers. As bytes, so that an index
//! is a range of keys.
//!
//! A number is the nearest double's bits, made to sort, and how far off it is: integers beyond 2^53 keep their order. A text
//! is cut at [`TEXT_CUT`] bytes, so an index may not tell two long ones apart; whoever uses it compares the values then.

use crate::{OrderBy, Path, TreeError, View};
use serde_json::{Number, Value};
use std::cmp::Ordering;

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;
const CONTAINER: u8 = 6;
/// How many bytes of a text are in its sort key.
pub(crate) const TEXT_CUT: usize = 256;
const CUT_TEXT: u8 = 1;

/// The sort key of what `on` says of the item at `path`.
pub(crate) fn key_of(view: &View<'_>, path: &Path, on: &OrderBy) -> Result<Vec<u8>, TreeError> {
    Ok(key(&value_of(view, path, on)?))
}

/// What `on` says of the item at `path`; a container is `[]`, whatever is in it.
pub(crate) fn value_of(view: &View<'_>, path: &Path, on: &OrderBy) -> Result<Value, TreeError> {
    let found = match on {
        OrderBy::Key => return Ok(Value::String(path.name().unwrap_or_default().into_owned())),
        OrderBy::Value => view.leaf_or_container(path)?,
        OrderBy::Child(below) => match path.join(below) {
            Ok(path) => view.leaf_or_container(&path)?,
            // Nothing is that deep.
            Err(_) => Value::Null,
        },
    };
    Ok(found)
}

/// The bytes that sort as the value does. No key is the beginning of another's.
pub(crate) fn key(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => vec![NULL],
        Value::Bool(false) => vec![FALSE],
        Value::Bool(true) => vec![TRUE],
        Value::Number(number) => {
            let mut out = vec![NUMBER];
            let (double, rest) = parts(number);
            let bits = double.to_bits();
            let sorted = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&sorted.to_be_bytes());
            out.extend_from_slice(&((i32::from(rest) + 0x8000) as u16).to_be_bytes());
            out
        }
        Value::String(text) => {
            let mut out = vec![TEXT];
            let shown = &text.as_bytes()[..text.len().min(TEXT_CUT)];
            for byte in shown {
                out.push(*byte);
                if *byte == 0 {
                    out.push(0xff);
                }
            }
            if text.len() > TEXT_CUT {
                out.extend_from_slice(&[0, CUT_TEXT]);
            } else {
                out.extend_from_slice(&[0, 0]);
            }
            out
        }
        Value::Array(_) | Value::Object(_) => vec![CONTAINER],
    }
}

/// The length of the sort key that `bytes` begin with.
pub(crate) fn len(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        NULL | FALSE | TRUE | CONTAINER => Some(1),
        NUMBER => Some(11),
        TEXT => {
            let mut at = 1;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
                let next = *bytes.get(at)?;
                at += 1;
                if next != 0xff {
                    return Some(at);
                }
            }
        }
        _ => None,
    }
}

/// The nearest double, and how far the number is above it: below 2^11, since doubles of 64-bit integers are that close.
fn parts(number: &Number) -> (f64, i16) {
    if let Some(exact) = number.as_i128() {
        let double = exact as f64;
        return (double, (exact - double as i128) as i16);
    }
    // Zero has one place, whatever its sign.
    (number.as_f64().unwrap_or_default() + 0.0, 0)
}

/// The order of two values.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => key(a).cmp(&key(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_sort_as_values_do() {
        let long = "x".repeat(TEXT_CUT);
        let ordered = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e300),
            json!(i64::MIN),
            json!(i64::MIN + 1),
            json!(-2),
            json!(-1.5),
            json!(0),
            json!(5e-324),
            json!(1),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_994_i64),
            json!(i64::MAX - 1),
            json!(i64::MAX),
            json!(u64::MAX - 1),
            json!(u64::MAX),
            json!(1e300),
            json!(""),
            json!("\0"),
            json!("\0\0"),
            json!("\0a"),
            json!("\u{1}"),
            json!("a"),
            json!("ab"),
            json!("b"),
            json!(long),
            json!(format!("{long}a")),
            json!("é"),
            json!({}),
        ];
        for pair in ordered.windows(2) {
            assert!(key(&pair[0]) < key(&pair[1]), "{pair:?}");
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(key(&json!(-0.0)), key(&json!(0)));
        assert_eq!(key(&json!(2.0)), key(&json!(2)));
        assert_eq!(key(&json!(format!("{long}a"))), key(&json!(format!("{long}b"))));
        assert_eq!(
            compare(&json!(format!("{long}a")), &json!(format!("{long}b"))),
            Ordering::Less
        );
    }
}
