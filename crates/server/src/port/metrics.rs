//! [`Exposition`]: a page of samples in the OpenMetrics text format, version 1.0.0. The engines fill it, `/metrics` sends it.
//!
//! Names are `quintet_<engine>_<noun>_<unit>`; counters get their `_total` here. A name is used once a page: the samples
//! of one family that differ in labels are given together.

use std::fmt::{Display, Write};

/// The media type of a page.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A page that is being written.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

/// A label's name and value.
pub(crate) type Label<'a> = (&'static str, &'a str);

impl Exposition {
    /// One number that goes up and down.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.gauges(name, help, [([], value)]);
    }

    /// One number that only grows.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.counters(name, help, [([], value)]);
    }

    /// A gauge with labels.
    pub(crate) fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], impl Display)>,
    ) {
        self.family(name, "gauge", help);
        for (labels, value) in samples {
            self.sample(name, "", &labels, value);
        }
    }

    /// A counter with labels.
    pub(crate) fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], impl Display)>,
    ) {
        self.family(name, "counter", help);
        for (labels, value) in samples {
            self.sample(name, "_total", &labels, value);
        }
    }

    /// Histograms with labels: the bounds in rising order with their own counts, the count beyond, the sum.
    pub(crate) fn histograms<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], Vec<(f64, u64)>, u64, f64)>,
    ) {
        self.family(name, "histogram", help);
        for (labels, buckets, beyond, sum) in samples {
            let mut count = 0;
            for (bound, own) in buckets {
                count += own;
                let bound = format!("{bound:?}");
                let mut labels = labels.to_vec();
                labels.push(("le", &bound));
                self.sample(name, "_bucket", &labels, count);
            }
            count += beyond;
            let mut last = labels.to_vec();
            last.push(("le", "+Inf"));
            self.sample(name, "_bucket", &last, count);
            self.sample(name, "_count", &labels, count);
            self.sample(name, "_sum", &labels, sum);
        }
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // The unit, if any, is the last word of the name, as the format wants it.
        let unit = ["bytes", "seconds"]
            .into_iter()
            .find(|unit| name.ends_with(&format!("_{unit}")));
        let _never_fails = writeln!(self.text, "# TYPE {name} {kind}");
        if let Some(unit) = unit {
            let _never_fails = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _never_fails = writeln!(self.text, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[Label<'_>], value: impl Display) {
        let _never_fails = write!(self.text, "{name}{suffix}");
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _never_fails = write!(self.text, "{before}{label}=\"{value}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _never_fails = writeln!(self.text, "{after} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_the_format_says() {
        let mut page = Exposition::default();
        page.gauge("quintet_a_used_bytes", "Used.", 7);
        page.counters(
            "quintet_a_handled_requests",
            "Handled.",
            [([("by", "a\"b\\")], 1), ([("by", "c")], 2)],
        );
        page.histograms(
            "quintet_a_answer_seconds",
            "Time.",
            [([], vec![(0.001, 2), (0.01, 1)], 1, 0.5)],
        );
        assert_eq!(
            page.finish(),
            "# TYPE quintet_a_used_bytes gauge\n# UNIT quintet_a_used_bytes bytes\n\
             # HELP quintet_a_used_bytes Used.\nquintet_a_used_bytes 7\n\
             # TYPE quintet_a_handled_requests counter\n# HELP quintet_a_handled_requests Handled.\n\
             quintet_a_handled_requests_total{by=\"a\\\"b\\\\\"} 1\nquintet_a_handled_requests_total{by=\"c\"} 2\n\
             # TYPE quintet_a_answer_seconds histogram\n# UNIT quintet_a_answer_seconds seconds\n\
             # HELP quintet_a_answer_seconds Time.\n\
             quintet_a_answer_seconds_bucket{le=\"0.001\"} 2\nquintet_a_answer_seconds_bucket{le=\"0.01\"} 3\n\
             quintet_a_answer_seconds_bucket{le=\"+Inf\"} 4\nquintet_a_answer_seconds_count 4\n\
             quintet_a_answer_seconds_sum 0.5\n# EOF\n"
        );
    }
}
