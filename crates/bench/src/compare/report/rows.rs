//! The figures of one section's main point, subject by subject, best first: what table, verdict and charts show.

use crate::compare::{
    open_loop::PERCENTILES,
    record::{Paced, Point, Row, Section},
    statistics::{Ratio, median, spread},
    subject,
};

/// One line of a table.
pub(super) struct Line<'a> {
    pub(super) row: &'a Row,
    /// Operations a second.
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// To the best.
    pub(super) ratio: Option<Ratio>,
    /// The messages' speed over that of its own calls.
    pub(super) to_native: Option<Ratio>,
    pub(super) cpu_seconds_per_million: f64,
    pub(super) peak_bytes: u64,
    pub(super) idle_percent: f64,
}

impl Line<'_> {
    pub(super) fn name(&self) -> &str {
        &self.row.subject
    }

    /// As fast as the best, as far as one can tell.
    pub(super) fn leads(&self) -> bool {
        self.ratio.as_ref().is_none_or(Ratio::is_tie)
    }
}

/// Whether that is one of this project's.
pub(super) fn is_ours(name: &str) -> bool {
    subject::find(name).is_some_and(|entry| entry.ours)
}

/// The rows of a point, the best first.
pub(super) fn ranked(point: &Point) -> Vec<&Row> {
    let mut rows: Vec<&Row> = point.rows.iter().collect();
    rows.sort_by(|a, b| median(&b.per_second).total_cmp(&median(&a.per_second)));
    rows
}

/// The lines of the section's main point, the best first.
pub(super) fn lines(section: &Section) -> Vec<Line<'_>> {
    let Some(point) = section.main_point() else {
        return Vec::new();
    };
    let rows = ranked(point);
    let Some(best) = rows.first().copied() else {
        return Vec::new();
    };
    rows.into_iter()
        .map(|row| {
            let (low, high) = spread(&row.per_second);
            let cost = section.cost_of(&row.subject);
            Line {
                row,
                median: median(&row.per_second),
                low,
                high,
                ratio: Ratio::of(&row.per_second, &best.per_second),
                to_native: Ratio::of(&row.per_second, &row.native_per_second),
                cpu_seconds_per_million: median(&row.cpu_seconds_per_million),
                peak_bytes: cost.map_or(0, |cost| cost.peak_bytes),
                idle_percent: cost.map_or(f64::NAN, |cost| cost.idle_percent),
            }
        })
        .collect()
}

/// Microseconds at that percentile: the median of the repetitions.
pub(super) fn percentile(paced: &Paced, subject: &str, percent: f64) -> Option<f64> {
    let at = PERCENTILES.iter().position(|other| *other == percent)?;
    let (_, taken) = paced.rows.iter().find(|(name, _)| name == subject)?;
    let values: Vec<f64> = taken
        .iter()
        .filter_map(|latency| latency.percentiles_us.get(at).copied())
        .collect();
    (!values.is_empty()).then(|| median(&values))
}

/// Whether the subject did what was due, within 5 %.
pub(super) fn kept_up(paced: &Paced, subject: &str) -> bool {
    paced
        .rows
        .iter()
        .filter(|(name, _)| name == subject)
        .all(|(_, taken)| {
            let achieved: Vec<f64> = taken.iter().map(|latency| latency.achieved_per_second).collect();
            median(&achieved) >= 0.95 * paced.per_second
        })
}
