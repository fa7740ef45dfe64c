//! A sharded counter map: every word is counted by the thread that owns it, and each shard says how many it owns.

use quintet_core::{Commit, Message, MessageHandler, Result, SystemClock};
use quintet_shard::{EngineConfig, Own, ShardEngine, ShardId, shard_of};
use std::{collections::HashMap, num::NonZeroUsize, rc::Rc, sync::Arc};

struct Count(&'static str); // The empty word asks how many words there are.
impl Message for Count {
    type Reply = usize;
}

struct Counters(HashMap<Rc<str>, usize>); // `Rc`: the state belongs to one thread, and the compiler sees to it.
impl MessageHandler<Count> for Counters {
    fn handle(&mut self, Count(word): Count) -> Result<usize> {
        if word.is_empty() {
            return Ok(self.0.len());
        }
        let count = self.0.entry(word.into()).or_default();
        *count += 1;
        Ok(*count)
    }
    fn commit(&mut self) -> Result<Commit> {
        Ok(Commit::Done)
    }
}

fn main() -> Result<()> {
    let (config, clock) = (EngineConfig::default(), Arc::new(SystemClock));
    let engine = ShardEngine::open(config, clock, |_: ShardId| Ok(Counters(HashMap::new())))?;
    let by_word = Own(|count: &Count, shards| shard_of(count.0.as_bytes(), shards));
    let mut caller = engine.caller(NonZeroUsize::MIN, by_word)?;
    let counts = "one two one".split(' ').map(|word| caller.call(Count(word)));
    assert_eq!(counts.collect::<Result<Vec<_>>>()?, [1, 1, 2]);
    let owned = caller.broadcast(|_| Count("")).into_iter();
    assert_eq!(owned.sum::<Result<usize>>()?, 2);
    engine.shutdown()
}
