//! Your own `BlockPool` and `MessageHandler`: held to the exported suites, and unit-tested with an exported mock.
//! Run it with `cargo test -p quintet-core --example own_pool --features mock,conformance`.
use quintet_core::conformance::{KeyedProbe, handler::Capabilities, handler::Subject};
use quintet_core::{Block, BlockPool, Commit, Keyed, KeyedReply, MessageHandler, Result, SizeClass};
use std::{collections::BTreeMap, collections::VecDeque, num::NonZeroUsize};

/// Hands blocks out in the order in which they came back, to spread wear.
struct WearPool(SizeClass, NonZeroUsize, VecDeque<Block>);
#[rustfmt::skip]
impl BlockPool for WearPool {
    fn class(&self) -> SizeClass { self.0 }
    fn acquire(&mut self) -> Option<Block> { self.2.pop_front() }
    fn available(&self) -> usize { self.2.len() }
    fn deficit(&self) -> usize { self.1.get() - self.2.len() }
    fn release(&mut self, block: Block) -> Result<(), Block> {
        let fits = block.address().class == self.0 && self.deficit() > 0;
        if fits { self.2.push_back(block); Ok(()) } else { Err(block) }
    }
}
/// A map that also says, under the key `lacking`, how many blocks its pool lacks: pool, committed state, working state.
struct Notes<P>(P, [BTreeMap<Vec<u8>, Vec<u8>>; 2]);
#[rustfmt::skip]
impl<P: BlockPool> MessageHandler<Keyed> for Notes<P> {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        let Self(pool, [committed, working]) = self;
        Ok(match message {
            Keyed::Get { key } if key == b"lacking" => KeyedReply::Value(Some(vec![pool.deficit() as u8])),
            Keyed::Get { key } => KeyedReply::Value(committed.get(&key).cloned()),
            Keyed::Put { key, value } => { working.insert(key, value); KeyedReply::Stored }
            Keyed::Add { key, delta } => {
                let sum = Keyed::add_to(working.get(&key).map(Vec::as_slice), delta)?;
                working.insert(key, sum.to_le_bytes().into()); KeyedReply::Sum(sum)
            }
            Keyed::Delete { key } => KeyedReply::Deleted(working.remove(&key).is_some()),
        })
    }
    fn commit(&mut self) -> Result<Commit> { self.1[0] = self.1[1].clone(); Ok(Commit::Done) }
}
#[rustfmt::skip]
impl<P: BlockPool> Subject for Notes<P> {
    type Probe = KeyedProbe;
    type Handler = Self;
    fn handler(&mut self) -> &mut Self { self }
    fn capabilities(&self) -> Capabilities { Capabilities::none("these notes live in memory and cannot fail") }
}
const EMPTY: WearPool = WearPool(SizeClass::SMALLEST, NonZeroUsize::MIN, VecDeque::new());
#[rustfmt::skip] fn main() { assert!(Notes(EMPTY, Default::default()).commit().is_ok()); }
#[test]
fn the_notes_ask_their_pool() {
    let mut pool = quintet_core::mock::MockBlockPool::new();
    pool.expect_deficit().times(1).return_const(7_usize);
    let key = b"lacking".to_vec();
    let asked = Notes(pool, Default::default()).handle(Keyed::Get { key });
    assert_eq!(asked.unwrap(), KeyedReply::Value(Some(vec![7])));
}
#[cfg(test)]
quintet_core::pool_suite!(pool, |class, capacity| WearPool(class, capacity, VecDeque::new()));
#[cfg(test)]
quintet_core::handler_suite!(notes, || Notes(EMPTY, Default::default()));
