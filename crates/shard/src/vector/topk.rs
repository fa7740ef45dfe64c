//! The k nearest of a scan: a bounded heap that is touched only by rows nearer than its farthest.

use crate::vector::PointId;
use std::{cmp::Ordering, collections::BinaryHeap};

/// A row that may be among the nearest. Ordered by key, then by id: the smaller, the nearer.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<T> {
    /// Smaller is nearer.
    pub(crate) key: f32,
    pub(crate) id: PointId,
    pub(crate) rest: T,
}

impl<T> Ord for Candidate<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key
            .total_cmp(&other.key)
            .then_with(|| self.id.cmp(&other.id))
    }
}

impl<T> PartialOrd for Candidate<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Candidate<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Candidate<T> {}

pub(crate) struct TopK<T> {
    k: usize,
    heap: BinaryHeap<Candidate<T>>,
    /// The farthest key once the heap is full, else infinity: most rows are refused by this one comparison.
    bound: f32,
}

impl<T> TopK<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
            bound: f32::INFINITY,
        }
    }

    /// Whether a row with this key could enter; a tie is decided by its id.
    pub(crate) fn may_enter(&self, key: f32) -> bool {
        key <= self.bound
    }

    pub(crate) fn offer(&mut self, candidate: Candidate<T>) {
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
        if self.heap.len() == self.k {
            self.bound = self.heap.peek().map_or(f32::INFINITY, |farthest| farthest.key);
        }
    }

    /// Nearest first.
    pub(crate) fn into_sorted(self) -> Vec<Candidate<T>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_ties_break_by_id() {
        let mut nearest = TopK::new(3);
        for (key, id) in [(2.0, 5), (1.0, 9), (2.0, 4), (2.0, 6), (3.0, 0), (1.0, 2)] {
            if nearest.may_enter(key) {
                let id = PointId::Number(id);
                nearest.offer(Candidate { key, id, rest: () });
            }
        }
        let found: Vec<_> = nearest.into_sorted().into_iter().map(|c| (c.key, c.id)).collect();
        assert_eq!(found, [(1.0, 2.into()), (1.0, 9.into()), (2.0, 4.into())]);
    }
}
