//! [`Batch`]: the pieces of many bodies, copied to one place until there are enough to compress them side by side.
//!
//! The copy costs a fifth of what it saves. It is made only while a crowd is there: as many bodies as make sixteen lanes
//! cheaper than the SHA instructions. What belongs to no finished body stays where it is until there is no more room.

use super::{
    Group, Hash,
    wide::{LANES, Wide},
};
use std::{cell::RefCell, ops::Range, rc::Rc};

/// How many bodies must bring bytes in a round: with fewer, one after the other is faster.
const CROWD: usize = LANES / 2;

/// How many bytes are staged at most.
const MOST_BYTES: usize = 4 << 20;

/// One worker's bodies in the making. A round is a turn of its loop and ends with [`run`](Self::run).
pub(crate) struct Batch {
    wide: Option<Wide>,
    arena: Vec<u8>,
    /// Those with something staged.
    staged: Vec<Rc<RefCell<Hash>>>,
    round: u64,
    /// How many bodies brought bytes in this round, and in the one before.
    bodies: usize,
    bodies_before: usize,
    /// A finished body waits for company.
    has_waited: bool,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            wide: Wide::detect(),
            arena: Vec::new(),
            staged: Vec::new(),
            round: 1,
            bodies: 0,
            bodies_before: 0,
            has_waited: false,
        }
    }

    /// Takes in a body's next bytes: they are copied, or compressed at once.
    pub(crate) fn update(&mut self, hash: &Rc<RefCell<Hash>>, bytes: &[u8]) {
        let mut body = hash.borrow_mut();
        if body.round != self.round {
            body.round = self.round;
            self.bodies += 1;
        }
        drop(body);
        self.give(hash, bytes);
    }

    /// The body is whole: its digest is there after the next [`run`](Self::run), or at once.
    pub(crate) fn finish(&mut self, hash: &Rc<RefCell<Hash>>) {
        let (end, len) = hash.borrow_mut().end();
        self.give(hash, &end[..len]);
    }

    fn give(&mut self, hash: &Rc<RefCell<Hash>>, bytes: &[u8]) {
        if self.arena.len() + bytes.len() > MOST_BYTES {
            self.compress();
        }
        let mut body = hash.borrow_mut();
        let was_staged = body.is_staged();
        let crowded = self.wide.is_some() && self.bodies.max(self.bodies_before) >= CROWD;
        if !crowded && !was_staged {
            return body.give(bytes);
        }
        body.stage(&mut self.arena, bytes);
        if body.is_staged() && !was_staged {
            self.staged.push(Rc::clone(hash));
        }
    }

    /// Ends a round. Compresses what is staged if some body is `awaited`, unless it waits one round for company: while few
    /// came, others may be ready to be read. Answers whether every finished body has its digest.
    pub(crate) fn run(&mut self, awaited: bool) -> bool {
        self.round += 1;
        self.bodies_before = std::mem::take(&mut self.bodies);
        self.has_waited = awaited && !self.has_waited && (1..LANES).contains(&self.staged.len());
        if awaited && !self.has_waited {
            self.compress();
        }
        !self.has_waited
    }

    fn compress(&mut self) {
        let (arena, _) = self.arena.as_chunks();
        if let Some(wide) = self.wide {
            side_by_side(wide, arena, &mut self.staged);
        }
        for hash in self.staged.drain(..) {
            hash.borrow_mut().compress(arena);
        }
        self.arena.clear();
    }
}

/// Compresses in lanes until too few bodies are left, and leaves those.
fn side_by_side(wide: Wide, arena: &[Group], staged: &mut Vec<Rc<RefCell<Hash>>>) {
    let mut lanes: Vec<Rc<RefCell<Hash>>> = Vec::with_capacity(LANES);
    loop {
        lanes.retain(|hash| hash.borrow().is_staged());
        let free = staged.len().min(LANES - lanes.len());
        lanes.extend(staged.drain(staged.len() - free..));
        if lanes.len() < CROWD {
            staged.append(&mut lanes);
            return;
        }
        step(wide, arena, &lanes);
    }
}

/// Compresses as many groups of each lane as the shortest has in one piece. A lane without a body repeats the first one's
/// groups, for nobody.
fn step(wide: Wide, arena: &[Group], lanes: &[Rc<RefCell<Hash>>]) {
    let next: Vec<Range<usize>> = lanes.iter().filter_map(|hash| hash.borrow().next()).collect();
    let count = next.iter().map(Range::len).min().unwrap_or(0);
    let mut states = [[0; LANES]; 8];
    let mut groups = [&arena[..0]; LANES];
    for (lane, groups) in groups.iter_mut().enumerate() {
        let at = next.get(lane).unwrap_or(&next[0]).start;
        *groups = &arena[at..at + count];
    }
    for (lane, hash) in lanes.iter().enumerate() {
        hash.borrow().enter(&mut states, lane);
    }
    wide.compress(&mut states, &groups);
    for (lane, hash) in lanes.iter().enumerate() {
        hash.borrow_mut().leave(&states, lane, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use proptest::prelude::*;

    fn content(seed: usize, len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 251 + seed * 7) as u8).collect()
    }

    fn hash() -> Rc<RefCell<Hash>> {
        Rc::new(RefCell::new(Hash::new()))
    }

    /// Lengths around a group's and the padding's ends, and some that are many groups.
    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![0..200_usize, Just(4096), 60_000..70_000_usize]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_body_of_a_crowd_gets_its_own_digest(
            lengths in prop::collection::vec(lengths(), 1..40),
            cuts in prop::collection::vec((0..40_usize, 1..40_000_usize, prop::bool::weighted(0.1)), 0..120),
        ) {
            let mut batch = Batch::new();
            let contents: Vec<_> = lengths.iter().enumerate().map(|(seed, len)| content(seed, *len)).collect();
            let mut bodies: Vec<_> = contents.iter().map(|content| (&content[..], hash())).collect();
            for (at, len, run) in cuts {
                let at = at % bodies.len();
                let (left, hash) = &mut bodies[at];
                let (piece, later) = left.split_at(len.min(left.len()));
                batch.update(hash, piece);
                *left = later;
                if run {
                    batch.run(true);
                }
            }
            for (left, hash) in &bodies {
                batch.update(hash, left);
                prop_assert_eq!(hash.borrow().digest(), None);
                batch.finish(hash);
            }
            while !batch.run(true) {}
            for (content, (_, hash)) in contents.iter().zip(&bodies) {
                prop_assert_eq!(hash.borrow().digest(), Some(Digest::of(content)));
            }
        }
    }

    #[test]
    fn a_body_alone_is_not_copied_and_a_crowd_is_compressed_when_there_is_no_more_room() {
        let mut batch = Batch::new();
        let alone = hash();
        batch.update(&alone, &content(0, 100_000));
        batch.finish(&alone);
        assert_eq!(alone.borrow().digest(), Some(Digest::of(&content(0, 100_000))));
        assert_eq!(batch.arena.capacity(), 0);
        let crowd: Vec<_> = (0..100).map(|_| hash()).collect();
        for _ in 0..2 {
            for (seed, hash) in crowd.iter().enumerate() {
                batch.update(hash, &content(seed, 65_536));
                assert!(batch.arena.len() <= MOST_BYTES);
            }
        }
        crowd.iter().for_each(|hash| batch.finish(hash));
        assert!(batch.run(true));
        for (seed, hash) in crowd.iter().enumerate() {
            let whole = content(seed, 65_536).repeat(2);
            assert_eq!(hash.borrow().digest(), Some(Digest::of(&whole)));
        }
        assert!(batch.staged.is_empty() && batch.arena.is_empty());
    }

    #[test]
    fn a_small_crowd_waits_one_round_and_what_nobody_awaits_stays() {
        let mut batch = Batch::new();
        let bodies: Vec<_> = (0..CROWD).map(|_| hash()).collect();
        let give = |batch: &mut Batch| {
            for hash in &bodies {
                batch.update(hash, &content(0, 1000));
            }
        };
        give(&mut batch);
        assert!(batch.run(false));
        give(&mut batch);
        bodies.iter().for_each(|hash| batch.finish(hash));
        if batch.wide.is_some() {
            assert!(batch.run(false));
            assert_eq!(batch.staged.len(), CROWD);
            assert!(!batch.run(true), "others may come");
            assert!(bodies.iter().all(|hash| hash.borrow().digest().is_none()));
        }
        assert!(batch.run(true));
        let expected = Digest::of(&content(0, 1000).repeat(2));
        assert!(bodies.iter().all(|hash| hash.borrow().digest() == Some(expected)));
    }
}
