//! Kernels for CPUs with AVX2 and FMA: sixteen lanes as two registers, one fused multiply-add each per sixteen floats.
//!
//! Invariants that make the unsafe blocks sound: an [`Avx2`] exists only where both features were detected, so calling
//! what needs them is allowed; loads stay within the 16-float chunk they are given, prefetches within the row. Called by [`super::Kernel`] only.
#![expect(unsafe_code, reason = "vector instructions need a CPU that has them")]

use super::{LANES, Measure};
use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_prefetch, _mm_shuffle_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_setzero_ps, _mm256_sub_ps,
};

/// How many cache lines of a row are asked for ahead; the processor goes on by itself.
const LINES_AHEAD: usize = 8;

/// Proof that this CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    pub(super) fn fetch(self, row: &[f32]) {
        for line in row.chunks(LANES).take(LINES_AHEAD) {
            // SAFETY: a prefetch reads nothing, and the address lies within the row. SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    pub(super) fn rows<const N: usize>(
        self,
        measure: Measure,
        rows: &[f32],
        stride: usize,
        queries: [&[f32]; N],
        out: &mut [[f32; N]],
    ) {
        // SAFETY: `self` proves that the CPU has AVX2 and FMA.
        unsafe {
            match measure {
                Measure::Dot => each::<N, false>(rows, stride, queries, out),
                Measure::SquaredL2 => each::<N, true>(rows, stride, queries, out),
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn each<const N: usize, const SQUARED: bool>(
    rows: &[f32],
    stride: usize,
    queries: [&[f32]; N],
    out: &mut [[f32; N]],
) {
    for (row, out) in rows.chunks_exact(stride).zip(out) {
        *out = sums::<N, SQUARED>(row, queries);
    }
}

/// The sums of products, or of squared differences, in one pass over the row for N queries; each query's sums are made
/// in the same order whatever N is. The measure is a constant, so that no branch is in the loop.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums<const N: usize, const SQUARED: bool>(row: &[f32], queries: [&[f32]; N]) -> [f32; N] {
    let (row, _) = row.as_chunks::<LANES>();
    let queries = queries.map(|query| query.as_chunks::<LANES>().0);
    let chunks = queries
        .iter()
        .fold(row.len(), |least, query| least.min(query.len()));
    let mut low = [_mm256_setzero_ps(); N];
    let mut high = [_mm256_setzero_ps(); N];
    for (at, chunk) in row[..chunks].iter().enumerate() {
        let (a_low, a_high) = load(chunk);
        for n in 0..N {
            let (b_low, b_high) = load(&queries[n][at]);
            low[n] = term::<SQUARED>(a_low, b_low, low[n]);
            high[n] = term::<SQUARED>(a_high, b_high, high[n]);
        }
    }
    let mut results = [0.0; N];
    for n in 0..N {
        results[n] = sum_of_halves(low[n], high[n]);
    }
    results
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn term<const SQUARED: bool>(a: __m256, b: __m256, sum: __m256) -> __m256 {
    if SQUARED {
        let difference = _mm256_sub_ps(a, b);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(a, b, sum)
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(chunk: &[f32; LANES]) -> (__m256, __m256) {
    // SAFETY: both halves of 8 floats lie within the chunk of 16, and unaligned loads are allowed.
    unsafe {
        (
            _mm256_loadu_ps(chunk.as_ptr()),
            _mm256_loadu_ps(chunk.as_ptr().add(8)),
        )
    }
}

/// The sum of sixteen lanes in the order of [`super::sum_of_lanes`]: halves onto each other.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_of_halves(low: __m256, high: __m256) -> f32 {
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<0b01>(two, two)))
}
