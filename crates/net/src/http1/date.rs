//! The `Date` line of answers, made anew once a second.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The line as it was when last asked for.
#[derive(Debug, Default)]
pub(crate) struct DateLine {
    line: Vec<u8>,
    valid_until: Option<Instant>,
}

impl DateLine {
    /// The line for this moment; `wall` is asked at most once a second.
    pub(crate) fn refresh(&mut self, now: Instant, wall: impl FnOnce() -> SystemTime) {
        if self.valid_until.is_some_and(|until| now < until) {
            return;
        }
        let since_epoch = wall().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.line = format!("Date: {}\r\n", format_date(since_epoch.as_secs())).into_bytes();
        let rest = Duration::from_secs(1) - Duration::from_nanos(u64::from(since_epoch.subsec_nanos()));
        self.valid_until = Some(now + rest);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.line
    }
}

/// IMF-fixdate, RFC 9110 section 5.6.7. The calendar counts from 1 March of year 0, so that leap days end a year.
fn format_date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let known = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (seconds, text) in known {
            assert_eq!(format_date(seconds), text);
        }
    }

    #[test]
    fn the_line_is_made_once_a_second() {
        let (start, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(1_250));
        let mut line = DateLine::default();
        line.refresh(start, || wall);
        line.refresh(start + Duration::from_millis(749), || panic!("asked too early"));
        line.refresh(start + Duration::from_millis(750), || {
            wall + Duration::from_millis(750)
        });
        assert_eq!(line.as_bytes(), b"Date: Thu, 01 Jan 1970 00:00:02 GMT\r\n");
    }
}
