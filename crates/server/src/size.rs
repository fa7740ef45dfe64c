//! Sizes as people write them: `64MiB`, `10GiB`, `500MB`, or plain bytes.
//!
//! Used by the command line and the environment. A size that does not fit 64 bits is refused, never wrapped.

use std::{fmt, str::FromStr};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Units by suffix, in lower case. The binary ones come last because `b` is a suffix of them all.
const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| lower.strip_suffix(suffix).map(|digits| (digits, *unit)))
            .unwrap_or((&lower, 1));
        let digits = digits.trim_end();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("expected a whole number of bytes or one with a unit, such as 64MiB or 10GiB".into());
        }
        let too_large = || "does not fit 64 bits".to_string();
        let count: u64 = digits.parse().map_err(|_| too_large())?;
        count.checked_mul(unit).map(Self).ok_or_else(too_large)
    }
}

impl fmt::Display for ByteSize {
    /// The largest binary unit that leaves at least 1, with one decimal unless it is whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (suffix, unit) = UNITS[..4]
            .iter()
            .rev()
            .zip(["TiB", "GiB", "MiB", "KiB"])
            .map(|((_, unit), suffix)| (suffix, *unit))
            .find(|(_, unit)| self.0 >= *unit)
            .unwrap_or(("B", 1));
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        if rest == 0 {
            return write!(f, "{whole} {suffix}");
        }
        let tenths = u128::from(rest) * 10 / u128::from(unit);
        write!(f, "{whole}.{tenths} {suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512B", 512),
            ("64MiB", 64 << 20),
            ("64mib", 64 << 20),
            ("10 GiB", 10 << 30),
            ("1TiB", 1 << 40),
            ("500MB", 500_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for text in ["", "MiB", "1.5GiB", "-1", "+1", "ten", "1XiB", "0x10", "1 0"] {
            let error = text.parse::<ByteSize>().expect_err(text);
            assert!(error.contains("64MiB"), "{text}: {error}");
        }
        for text in ["18446744073709551616", "16777216TiB"] {
            let error = text.parse::<ByteSize>().expect_err(text);
            assert!(error.contains("64 bits"), "{text}: {error}");
        }
    }

    #[test]
    fn prints_the_largest_fitting_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (1536 << 20, "1.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
