//! What a leaf holds: one tag byte, then the value, big-endian. `null` is never stored.
//!
//! | tag | value |
//! |---|---|
//! | 1, 2 | false, true |
//! | 3 | an integer, 8 bytes signed |
//! | 4 | an integer above those, 8 bytes unsigned |
//! | 5 | an IEEE double, 8 bytes, never NaN or infinite |
//! | 6 | text, UTF-8 |

use crate::TreeError;
use serde_json::{Number, Value};

const FALSE: u8 = 1;
const TRUE: u8 = 2;
const SIGNED: u8 = 3;
const UNSIGNED: u8 = 4;
const DOUBLE: u8 = 5;
const TEXT: u8 = 6;

/// The bytes of a value that is neither null nor a container; `None` for those.
pub(crate) fn encode(value: &Value) -> Option<Vec<u8>> {
    let tagged = |tag: u8, bytes: &[u8]| {
        let mut out = Vec::with_capacity(1 + bytes.len());
        out.push(tag);
        out.extend_from_slice(bytes);
        out
    };
    Some(match value {
        Value::Bool(false) => vec![FALSE],
        Value::Bool(true) => vec![TRUE],
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                tagged(SIGNED, &number.to_be_bytes())
            } else if let Some(number) = number.as_u64() {
                tagged(UNSIGNED, &number.to_be_bytes())
            } else {
                tagged(DOUBLE, &number.as_f64()?.to_bits().to_be_bytes())
            }
        }
        Value::String(text) => tagged(TEXT, text.as_bytes()),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// A leaf's value, where it lies.
pub(crate) enum Scalar<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Text(&'a str),
}

/// The value of a leaf's bytes, without copying.
pub(crate) fn borrow(bytes: &[u8]) -> Result<Scalar<'_>, TreeError> {
    let damaged = || TreeError::corrupted("LMDB", "a leaf is not a value");
    let (tag, rest) = bytes.split_first().ok_or_else(damaged)?;
    let eight = || <[u8; 8]>::try_from(rest).map_err(|_| damaged());
    Ok(match *tag {
        FALSE if rest.is_empty() => Scalar::Bool(false),
        TRUE if rest.is_empty() => Scalar::Bool(true),
        SIGNED => Scalar::Signed(i64::from_be_bytes(eight()?)),
        UNSIGNED => Scalar::Unsigned(u64::from_be_bytes(eight()?)),
        DOUBLE => Scalar::Double(f64::from_bits(u64::from_be_bytes(eight()?))),
        TEXT => Scalar::Text(std::str::from_utf8(rest).map_err(|_| damaged())?),
        _ => return Err(damaged()),
    })
}

/// The value of a leaf's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, TreeError> {
    Ok(match borrow(bytes)? {
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Signed(value) => Value::from(value),
        Scalar::Unsigned(value) => Value::from(value),
        Scalar::Double(value) => Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| TreeError::corrupted("LMDB", "a leaf is not a number"))?,
        Scalar::Text(value) => Value::String(value.to_owned()),
    })
}

/// The sum of two numbers: exact when both are integers and it fits 64 bits, else as doubles.
pub(crate) fn sum(a: &Number, b: &Number) -> Option<Number> {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128())
        && let Some(sum) = Number::from_i128(a + b)
    {
        return Some(sum);
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_number_comes_back_as_the_very_same() {
        for text in [
            "0",
            "-1",
            "9007199254740993",
            "-9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "0.1",
            "1.0",
            "-0.0",
            "1e300",
            "5e-324",
            "123456789.123456789",
            "1.7976931348623157e308",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let back = decode(&encode(&value).unwrap()).unwrap();
            assert_eq!(back, value, "{text}");
            assert_eq!(back.to_string(), value.to_string(), "{text}");
        }
        assert_eq!(
            json!("ü\0").to_string(),
            decode(&encode(&json!("ü\0")).unwrap()).unwrap().to_string()
        );
    }

    #[test]
    fn sums_are_exact_while_they_fit() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        let add = |a, b| sum(&number(a), &number(b)).unwrap().to_string();
        assert_eq!(add("9007199254740993", "2"), "9007199254740995");
        assert_eq!(add("9223372036854775807", "1"), "9223372036854775808");
        assert_eq!(add("18446744073709551615", "1"), "1.8446744073709552e+19");
        assert_eq!(add("1", "0.5"), "1.5");
    }
}
