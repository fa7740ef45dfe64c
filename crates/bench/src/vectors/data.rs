//! The vectors to store and to ask for: from `.npy` files with their exact neighbours, or synthetic.

use anyhow::{Context as _, Result, ensure};
use quintet_shard::vector::Point;
use std::{fs, path::Path};

/// Vectors, row after row.
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) dimension: usize,
    pub(super) base: Vec<f32>,
    pub(super) queries: Vec<f32>,
    /// For each query the rows of its nearest, nearest first.
    pub(super) neighbors: Vec<Vec<u64>>,
}

impl Set {
    pub(super) fn rows(&self) -> usize {
        self.base.len() / self.dimension
    }

    pub(super) fn row(&self, n: usize) -> &[f32] {
        &self.base[n * self.dimension..(n + 1) * self.dimension]
    }

    pub(super) fn query(&self, n: usize) -> Vec<f32> {
        let n = n % (self.queries.len() / self.dimension);
        self.queries[n * self.dimension..(n + 1) * self.dimension].to_vec()
    }

    /// Points numbered by their rows.
    pub(super) fn points(&self, rows: std::ops::Range<usize>) -> Vec<Point> {
        rows.map(|n| Point::new(n as u64, self.row(n).to_vec())).collect()
    }
}

/// Reads `base.npy`, `queries.npy` and `neighbors.npy`.
pub(super) fn read(dir: &Path) -> Result<Set> {
    let floats = |name: &str| -> Result<(usize, Vec<f32>)> {
        let (width, bytes) = npy(&dir.join(name), "<f4")?;
        let numbers = bytes
            .chunks_exact(4)
            .map(|n| f32::from_le_bytes([n[0], n[1], n[2], n[3]]));
        Ok((width, numbers.collect()))
    };
    let (dimension, base) = floats("base.npy")?;
    let (query_dimension, queries) = floats("queries.npy")?;
    ensure!(
        dimension == query_dimension,
        "queries have {query_dimension} dimensions, the base {dimension}"
    );
    let (width, bytes) = npy(&dir.join("neighbors.npy"), "<u4")?;
    let rows = bytes
        .chunks_exact(4)
        .map(|n| u64::from(u32::from_le_bytes([n[0], n[1], n[2], n[3]])));
    let rows: Vec<u64> = rows.collect();
    let neighbors: Vec<Vec<u64>> = rows.chunks_exact(width).map(<[u64]>::to_vec).collect();
    ensure!(
        neighbors.len() * dimension == queries.len(),
        "each query needs its neighbours"
    );
    Ok(Set {
        name: "embeddings",
        dimension,
        base,
        queries,
        neighbors,
    })
}

/// The width of a two-dimensional array and its bytes.
fn npy(path: &Path, kind: &str) -> Result<(usize, Vec<u8>)> {
    let shown = path.display();
    let mut bytes = fs::read(path).with_context(|| format!("{shown}"))?;
    ensure!(
        bytes.starts_with(b"\x93NUMPY\x01\x00") && bytes.len() > 10,
        "{shown} is not a .npy file of version 1"
    );
    let from = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let head = bytes
        .get(10..from)
        .with_context(|| format!("{shown} ends in its head"))?;
    let head = String::from_utf8_lossy(head).into_owned();
    ensure!(
        head.contains(kind) && head.contains("'fortran_order': False"),
        "{shown} is not {kind} in C order: {head}"
    );
    let shape = head.split(['(', ')']).nth(1).unwrap_or_default();
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let body = bytes.split_off(from);
    ensure!(
        shape.len() == 2 && shape[0] * shape[1] * 4 == body.len(),
        "{shown} has shape {shape:?}"
    );
    Ok((shape[1], body))
}

/// Random vectors, the same in every run; neighbours by a plain scan in double precision.
pub(super) fn synthetic(points: usize, dimension: usize, queries: usize) -> Set {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut numbers = |count: usize| -> Vec<f32> {
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count * dimension).map(|_| next()).collect()
    };
    let mut set = Set {
        name: "synthetic",
        dimension,
        base: numbers(points),
        queries: numbers(queries),
        neighbors: Vec::new(),
    };
    set.neighbors = (0..queries).map(|n| nearest(&set, &set.query(n))).collect();
    set
}

fn nearest(set: &Set, query: &[f32]) -> Vec<u64> {
    let cosine = |row: &[f32]| {
        let sum = |f: fn(f64, f64) -> f64| {
            row.iter()
                .zip(query)
                .map(|(a, b)| f((*a).into(), (*b).into()))
                .sum::<f64>()
        };
        sum(|a, b| a * b) / (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt()
    };
    let mut all: Vec<(f64, u64)> = (0..set.rows()).map(|n| (-cosine(set.row(n)), n as u64)).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(super::K).map(|(_, n)| n).collect()
}
