//! Other libraries' graphs, each behind a feature: they take long to build or need a C++ compiler.

use super::{data::Set, graph::Rival};
use anyhow::Result;

/// Those that are compiled in, built over the set.
pub(super) fn all(set: &Set) -> Result<Vec<Rival<'_>>> {
    let rivals: Vec<fn(&Set) -> Result<Rival<'_>>> = vec![
        #[cfg(feature = "usearch")]
        usearch,
        #[cfg(feature = "hnsw_rs")]
        hnsw_rs,
    ];
    rivals.into_iter().map(|build| build(set)).collect()
}

/// What is not compared, and how to have it.
pub(super) fn missing() -> String {
    let features = [
        ("simsimd", cfg!(feature = "simsimd")),
        ("usearch", cfg!(feature = "usearch")),
        ("hnsw_rs", cfg!(feature = "hnsw_rs")),
    ];
    let off: Vec<&str> = features
        .into_iter()
        .filter(|(_, on)| !on)
        .map(|(name, _)| name)
        .collect();
    if off.is_empty() {
        return "every rival is compared".to_owned();
    }
    format!(
        "not compared: {} (cargo run --release -p quintet-bench --features {} -- vectors)",
        off.join(", "),
        off.join(",")
    )
}

#[cfg(feature = "usearch")]
fn usearch(set: &Set) -> Result<Rival<'_>> {
    use super::{
        K,
        graph::{BUILD_EF, LINKS, SEARCH_EF},
    };
    use usearch::{Index, IndexOptions, MetricKind, ScalarKind};
    let options = IndexOptions {
        dimensions: set.dimension,
        metric: MetricKind::Cos,
        quantization: ScalarKind::F32,
        connectivity: LINKS,
        expansion_add: BUILD_EF,
        expansion_search: SEARCH_EF,
        multi: false,
    };
    let index = Index::new(&options).map_err(|error| anyhow::anyhow!("{error}"))?;
    index
        .reserve(set.rows())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let from = std::time::Instant::now();
    for n in 0..set.rows() {
        index
            .add(n as u64, set.row(n))
            .map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    Ok(Rival {
        name: "usearch, one query a search",
        built_per_s: set.rows() as f64 / from.elapsed().as_secs_f64(),
        search: Box::new(move |query| {
            index
                .search(query, K)
                .map_or_else(|_| Vec::new(), |found| found.keys)
        }),
    })
}

#[cfg(feature = "hnsw_rs")]
fn hnsw_rs(set: &Set) -> Result<Rival<'_>> {
    use super::{
        K,
        graph::{BUILD_EF, LINKS, SEARCH_EF},
    };
    use hnsw_rs::prelude::{DistCosine, Hnsw};
    let index = Hnsw::<f32, DistCosine>::new(LINKS, set.rows(), 16, BUILD_EF, DistCosine {});
    let from = std::time::Instant::now();
    for n in 0..set.rows() {
        index.insert((set.row(n), n));
    }
    Ok(Rival {
        name: "hnsw_rs, one query a search",
        built_per_s: set.rows() as f64 / from.elapsed().as_secs_f64(),
        search: Box::new(move |query| {
            let found = index.search(query, K, SEARCH_EF);
            found.into_iter().map(|found| found.d_id as u64).collect()
        }),
    })
}
