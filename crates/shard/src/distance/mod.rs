//! How near two vectors are: inner product and squared Euclidean distance over rows padded to 16 floats.
//!
//! Every kernel adds up in sixteen lanes and then the lanes in one fixed order, and a kernel gives the same bits for one
//! query as for four: a result never depends on what else was asked at the same time.

mod scalar;

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

type One = fn(Measure, &[f32], &[f32]) -> f32;
type Four = fn(Measure, &[f32], [&[f32]; 4]) -> [f32; 4];

/// The kernels of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    one: One,
    four: Four,
}

impl Kernel {
    /// The fastest that this CPU runs.
    pub(crate) fn detect() -> Self {
        Self::scalar()
    }

    /// The portable one, which the others are tested against.
    pub(crate) fn scalar() -> Self {
        Self {
            one: scalar::one,
            four: scalar::four,
        }
    }

    /// Compares a row with a query. Both are padded and equally long; what is beyond the shorter one is left out.
    pub(crate) fn one(self, measure: Measure, row: &[f32], query: &[f32]) -> f32 {
        (self.one)(measure, row, query)
    }

    /// Compares a row with four queries while it passes through the registers once.
    pub(crate) fn four(self, measure: Measure, row: &[f32], queries: [&[f32]; 4]) -> [f32; 4] {
        (self.four)(measure, row, queries)
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
