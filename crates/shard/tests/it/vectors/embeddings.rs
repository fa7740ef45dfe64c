//! Real text embeddings (384 dimensions): exact search finds every neighbour that a scan in double precision finds.

use super::with_collection;
use quintet_shard::vector::{Metric, Point, PointId, Search};

const DIMENSION: usize = 384;
const QUERIES: usize = 50;
static FIXTURE: &[u8] = include_bytes!("../../fixtures/embeddings-384.f32");

fn rows() -> Vec<Vec<f32>> {
    let numbers: Vec<f32> = FIXTURE
        .chunks_exact(4)
        .map(|n| f32::from_le_bytes([n[0], n[1], n[2], n[3]]))
        .collect();
    numbers.chunks_exact(DIMENSION).map(<[f32]>::to_vec).collect()
}

#[test]
fn recall_is_one_for_any_number_of_shards() {
    const K: usize = 20;
    let mut base = rows();
    let queries = base.split_off(base.len() - QUERIES);
    for shards in [1, 2, 8] {
        let (_store, mut client) = with_collection(shards, DIMENSION, Metric::Cosine);
        let points: Vec<Point> = base
            .iter()
            .enumerate()
            .map(|(n, row)| Point::new(n as u64, row.clone()))
            .collect();
        for batch in points.chunks(200) {
            client.upsert("c", batch.to_vec()).unwrap();
        }
        let found = client.search_many("c", Search::many(queries.clone(), K)).unwrap();
        for (query, found) in queries.iter().zip(found) {
            let dot = |row: &[f32]| {
                row.iter()
                    .zip(query)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum::<f64>()
            };
            let mut wanted: Vec<(f64, u64)> = base
                .iter()
                .enumerate()
                .map(|(n, row)| (-dot(row), n as u64))
                .collect();
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let wanted: Vec<PointId> = wanted[..K].iter().map(|(_, n)| (*n).into()).collect();
            let found: Vec<PointId> = found.into_iter().map(|hit| hit.id).collect();
            assert_eq!(found, wanted, "{shards} shards");
        }
    }
}
