//! The portable kernels: plain loops over sixteen lanes, which compilers turn into whatever vectors there are.

use super::{LANES, Measure, sum_of_lanes};

pub(super) fn one(measure: Measure, row: &[f32], query: &[f32]) -> f32 {
    match measure {
        Measure::Dot => sum(row, query, |a, b| a * b),
        Measure::SquaredL2 => sum(row, query, |a, b| (a - b) * (a - b)),
    }
}

fn sum(row: &[f32], query: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in row.chunks_exact(LANES).zip(query.chunks_exact(LANES)) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    sum_of_lanes(lanes)
}
