//! Graphs on their own: what a walk finds in points that make walks lose their way.

use super::{Graph, Walk};
use crate::{
    distance::{Measure, padded},
    vector::{
        block::{Block, Row, Shape},
        message::Query,
        meter::Meter,
    },
};
use std::sync::Arc;

const DIMENSION: usize = 8;

/// splitmix64, as numbers from -1 to 1.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Tight clusters that lie far apart, their points one cluster after the other or in turn.
fn clusters(count: usize, each: usize, in_turn: bool) -> Vec<Vec<f32>> {
    let mut next = numbers(5);
    let centres: Vec<Vec<f32>> = (0..count)
        .map(|_| (0..DIMENSION).map(|_| 10.0 * next()).collect())
        .collect();
    let of = |n: usize| if in_turn { n % count } else { n / each };
    (0..count * each)
        .map(|n| centres[of(n)].iter().map(|x| x + 0.05 * next()).collect())
        .collect()
}

fn build(vectors: &[Vec<f32>]) -> Graph {
    let shape = Shape::new(DIMENSION, 4096);
    let mut graph = Graph::new(shape, Measure::SquaredL2, 8);
    let mut walk = Walk::default();
    for (first, chunk) in (0..).step_by(shape.rows()).zip(vectors.chunks(shape.rows())) {
        let mut block = Block::new(shape, 0, 0, &Meter::default());
        for (row, vector) in chunk.iter().enumerate() {
            let data = Row {
                id: ((first + row) as u64).into(),
                payload: None,
                payload_bytes: 0,
            };
            block.put(row, vector, 1.0, data);
        }
        assert!(graph.add(&Arc::new(block), 32, &mut walk, &|| false));
    }
    let blocks = graph.blocks().len();
    graph.reach_all(0..blocks, &mut walk);
    graph
}

fn finds_itself(graph: &Graph, vector: &[f32], walk: &mut Walk) -> bool {
    let query = Query {
        padded: padded(vector),
        scale: 1.0,
    };
    let found = graph.nearest(&query, 20, walk, |block, row| block.is_live(row));
    found.first().is_some_and(|(key, ..)| *key == 0.0)
}

#[test]
fn no_cluster_is_lost_however_they_come() {
    let mut walk = Walk::default();
    for (count, each) in [(4, 250), (20, 50), (60, 16)] {
        for in_turn in [false, true] {
            let vectors = clusters(count, each, in_turn);
            let graph = build(&vectors);
            let lost: Vec<usize> = (0..vectors.len())
                .filter(|n| !finds_itself(&graph, &vectors[*n], &mut walk))
                .collect();
            assert!(
                lost.len() * 200 <= vectors.len(),
                "{count} clusters of {each}, in turn {in_turn}: {} of {} not found: {:?}",
                lost.len(),
                vectors.len(),
                &lost[..lost.len().min(20)]
            );
        }
    }
}

#[test]
fn what_died_is_a_way_mark_and_no_answer() {
    let vectors = clusters(10, 100, true);
    let graph = build(&vectors);
    for block in graph.blocks() {
        for row in (0..block.used_rows()).filter(|row| row % 3 != 0) {
            block.kill(row);
        }
    }
    let mut walk = Walk::default();
    for vector in &vectors {
        let query = Query {
            padded: padded(vector),
            scale: 1.0,
        };
        let found = graph.nearest(&query, 10, &mut walk, |block, row| block.is_live(row));
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|(_, block, row)| block.is_live(*row)));
        assert!(found.windows(2).all(|two| two[0].0 <= two[1].0));
    }
}

#[test]
fn a_copy_grows_and_leaves_the_one_before_as_it_was() {
    let vectors = clusters(5, 100, true);
    let before = build(&vectors[..400]);
    let mut walk = Walk::default();
    let found = |graph: &Graph, walk: &mut Walk| -> Vec<bool> {
        vectors
            .iter()
            .map(|vector| finds_itself(graph, vector, walk))
            .collect()
    };
    let first = found(&before, &mut walk);
    let mut after = before.clone();
    let more = build(&vectors[400..]);
    for block in more.blocks() {
        assert!(after.add(block, 32, &mut walk, &|| false));
    }
    after.reach_all(0..after.blocks().len(), &mut walk);
    assert_eq!(found(&before, &mut walk), first);
    assert!(found(&after, &mut walk)[400..].iter().all(|found| *found));
    assert!(first[400..].iter().all(|found| !found));
}
