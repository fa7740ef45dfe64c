//! A sharded counter map: each word is counted by the thread that owns it.
use quintet_core::{Commit, Message, MessageHandler, Result, SystemClock};
use quintet_shard::{Own, ShardEngine, shard_of};
use std::{collections::HashMap, num::NonZeroUsize, rc::Rc, sync::Arc};
struct Count(&'static str);
impl Message for Count {
    type Reply = usize;
}
#[derive(Default)]
struct Counters(HashMap<Rc<str>, usize>); // `Rc`: the compiler keeps other threads out.
impl MessageHandler<Count> for Counters {
    fn handle(&mut self, Count(word): Count) -> Result<usize> {
        let count = self.0.entry(word.into()).or_default();
        *count += 1;
        Ok(*count)
    }
    fn commit(&mut self) -> Result<Commit> {
        Ok(Commit::Done)
    }
}
fn main() -> Result<()> {
    let new = |_| Ok(Counters::default());
    let engine = ShardEngine::open(Default::default(), Arc::new(SystemClock), new)?;
    let by_word = Own(|count: &Count, shards| shard_of(count.0.as_bytes(), shards));
    let mut caller = engine.caller(NonZeroUsize::MIN, by_word)?;
    for (word, count) in [("one", 1), ("two", 1), ("one", 2)] {
        assert_eq!(caller.call(Count(word))?, count);
    }
    engine.shutdown()
}
