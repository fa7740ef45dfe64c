//! Sums of numbers in text: INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Exact, to 17 places, where both numbers have at most 17 places and 20 digits before them: Redis computes in 80 bits and
//! shows 17 places, which is the same for numbers that 80 bits can tell apart. Others are summed in 64 bits.

use super::parse_float;

const PLACES: usize = 17;
/// Numbers below this, times 10^17, are far from the end of 128 bits.
const MOST: i128 = 100_000_000_000_000_000_000;
const UNIT: i128 = 100_000_000_000_000_000;

/// The number in units of 10^-17; `None` = it does not fit exactly.
fn exact(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if places.len() > PLACES || whole.is_empty() || !is_plain(whole) || !is_plain(places) {
        return None;
    }
    let whole: i128 = whole.parse().ok().filter(|whole| *whole < MOST)?;
    let places: i128 = format!("{places:0<PLACES$}").parse().ok()?;
    let number = whole * UNIT + places;
    Some(if is_negative { -number } else { number })
}

/// The sum of two numbers, without an exponent and without zeros at its end; `None` = it is infinite or no number.
pub(super) fn sum(a: &[u8], b: &[u8]) -> Option<String> {
    if let (Some(a), Some(b)) = (exact(a), exact(b)) {
        let sum = a + b;
        let sign = if sum < 0 { "-" } else { "" };
        let (whole, places) = (sum.abs() / UNIT, sum.abs() % UNIT);
        let text = format!("{sign}{whole}.{places:017}");
        return Some(text.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    let sum = parse_float(a)? + parse_float(b)?;
    sum.is_finite().then(|| sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_are_exact_where_they_can_be() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.5", "-0.5", "10"),
            ("-9223372036854775808", "2.25", "-9223372036854775805.75"),
            ("5.0e3", "200", "5200"),
            ("0", "-0.00000000000000001", "-0.00000000000000001"),
            ("-1.5", "1.5", "0"),
        ] {
            assert_eq!(
                sum(a.as_bytes(), b.as_bytes()).as_deref(),
                Some(expected),
                "{a} + {b}"
            );
        }
        assert_eq!(sum(b"inf", b"1"), None);
    }
}
