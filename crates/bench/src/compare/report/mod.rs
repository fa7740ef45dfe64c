//! A measured run for people: tables and verdicts for the terminal, HTML with charts, and the pages of the documentation.
//!
//! Everything here is a pure function of a [`Record`](super::record::Record), so a report can be made again later.

mod chart;
pub(super) mod html;
pub(super) mod markdown;
mod rows;
mod style;
pub(super) mod table;
pub(super) mod verdict;

/// `1234567` as `1.23 M`.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    format!("{}{unit}", digits(scaled))
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    match value {
        v if !v.is_finite() => "-".to_owned(),
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Microseconds, in the unit that suits them.
fn time(us: f64) -> String {
    match us {
        us if !us.is_finite() => "-".to_owned(),
        us if us >= 1e6 => format!("{} s", digits(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} µs", digits(us)),
    }
}

/// Bytes in MiB.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", digits(bytes as f64 / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(short(1_234_567.0), "1.23 M");
        assert_eq!(short(45_600.0), "45.6 k");
        assert_eq!(short(999.0), "999");
        assert_eq!(time(12.34), "12.3 µs");
        assert_eq!(time(1500.0), "1.50 ms");
        assert_eq!(digits(f64::NAN), "-");
        assert_eq!(mebibytes(3 << 20), "3.00 MiB");
    }
}
