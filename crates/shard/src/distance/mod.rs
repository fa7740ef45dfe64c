//! How near two vectors are: inner product and squared Euclidean distance over rows padded to 16 floats.
//!
//! Every kernel adds up in sixteen lanes and then the lanes in one fixed order, and a kernel gives the same bits for one
//! query as for four: a result never depends on what else was asked at the same time.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod simd;

/// Floats a kernel takes at a time; rows and queries are padded with zeros to a multiple.
pub(crate) const LANES: usize = 16;

/// What a row is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The sum of products.
    Dot,
    /// The sum of squared differences.
    SquaredL2,
}

/// The kernels of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernel {
    /// Plain loops; what the others are tested against.
    Scalar,
    /// AVX2 and FMA. Each product is added without rounding it first, so sums differ from the scalar ones by at most
    /// `(n / 16 + 5) * 2^-23` of the sum of the terms' magnitudes for n floats.
    #[cfg(target_arch = "x86_64")]
    Avx2(simd::Avx2),
}

impl Kernel {
    /// The fastest that this CPU runs.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = simd::Avx2::detect() {
            return Self::Avx2(avx2);
        }
        Self::Scalar
    }

    /// Compares rows, `stride` floats each and one after another, with N queries; each row passes through the registers
    /// once. All are padded and equally long; what is beyond the shortest is left out. Rows without a place in `out`, and
    /// places without a row, are left as they are.
    pub(crate) fn rows<const N: usize>(
        self,
        measure: Measure,
        rows: &[f32],
        stride: usize,
        queries: [&[f32]; N],
        out: &mut [[f32; N]],
    ) {
        match self {
            Self::Scalar => {
                for (row, out) in rows.chunks_exact(stride).zip(out) {
                    *out = queries.map(|query| scalar::one(measure, row, query));
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.rows(measure, rows, stride, queries, out),
        }
    }
}

impl Kernel {
    /// Asks for a row's first cache lines ahead of their use.
    pub(crate) fn fetch(self, row: &[f32]) {
        match self {
            Self::Scalar => {}
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.fetch(row),
        }
    }
}

/// The sum of sixteen lanes, in the one order that all kernels use: halves onto each other.
fn sum_of_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// A vector padded with zeros for the kernels.
pub(crate) fn padded(vector: &[f32]) -> Vec<f32> {
    let mut padded = vector.to_vec();
    padded.resize(vector.len().next_multiple_of(LANES), 0.0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEASURES: [Measure; 2] = [Measure::Dot, Measure::SquaredL2];

    fn magnitude(measure: Measure, a: &[f32], b: &[f32]) -> f64 {
        let term = |a: f64, b: f64| match measure {
            Measure::Dot => (a * b).abs(),
            Measure::SquaredL2 => (a - b) * (a - b),
        };
        a.iter()
            .zip(b)
            .map(|(a, b)| term(f64::from(*a), f64::from(*b)))
            .sum()
    }

    fn exact(measure: Measure, a: &[f32], b: &[f32]) -> f64 {
        match measure {
            Measure::Dot => a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum(),
            Measure::SquaredL2 => magnitude(measure, a, b),
        }
    }

    fn compare<const N: usize>(
        kernel: Kernel,
        measure: Measure,
        row: &[f32],
        queries: [&[f32]; N],
    ) -> [f32; N] {
        let rows = [row, row].concat();
        let mut out = [[0.0; N]; 3];
        kernel.rows(measure, &rows, row.len(), queries, &mut out);
        assert_eq!(
            out[0].map(f32::to_bits),
            out[1].map(f32::to_bits),
            "one row in two places"
        );
        assert_eq!(out[2], [0.0; N], "no row, no result");
        out[0]
    }

    proptest! {
        #[test]
        fn kernels_stay_within_their_bound_and_four_queries_give_the_bits_of_one(
            length in 1..1100_usize,
            scale in -20..20_i32,
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut vector = || {
                let numbers = (0..length).map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * (scale as f32).exp2()
                });
                padded(&numbers.collect::<Vec<_>>())
            };
            let row = vector();
            let queries = [vector(), vector(), vector(), vector()];
            for measure in MEASURES {
                for kernel in [Kernel::Scalar, Kernel::detect()] {
                    let four = compare(kernel, measure, &row, queries.each_ref().map(|query| &**query));
                    for (query, four) in queries.iter().zip(four) {
                        let [one] = compare(kernel, measure, &row, [query]);
                        prop_assert_eq!(one.to_bits(), four.to_bits());
                        let steps = (row.len() / LANES + 5) as f64;
                        let bound = steps * f64::from(f32::EPSILON) * magnitude(measure, &row, query);
                        let exact = exact(measure, &row, query);
                        prop_assert!((f64::from(one) - exact).abs() <= bound, "{} for {}", one, exact);
                    }
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_exact_in_every_kernel() {
        let row = padded(&(0..37).map(|n| n as f32).collect::<Vec<_>>());
        let query = padded(&[2.0; 37]);
        for kernel in [Kernel::Scalar, Kernel::detect()] {
            assert_eq!(compare(kernel, Measure::Dot, &row, [&query]), [1332.0]);
            assert_eq!(compare(kernel, Measure::SquaredL2, &row, [&query]), [13_690.0]);
        }
    }
}
