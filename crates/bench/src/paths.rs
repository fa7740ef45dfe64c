//! The hottest paths, each as one call on one thread: counted in instructions by `count`, timed by criterion.
//!
//! Only paths that do the same work at every call: nothing that waits, no other thread.

use anyhow::Result;
use quintet_core::{Consumer, Inline, Keyed, MessageHandler, Producer, Queue, Worker, rtrb_queue::RtrbQueue};
use quintet_kv::{KvHandler, Store};
use quintet_shard::{MapConfig, MapHandler};
use quintet_stm::{Context, ContextHandler, Isolation, TVar, atomically};
use std::{hint::black_box, num::NonZeroUsize};

/// One pass through a path.
pub type Call = Box<dyn FnMut() -> Result<()>>;

/// One path: its name, and what builds the call. The call may fail only if something is broken.
pub struct Path {
    /// Without blanks, as the budgets name it.
    pub name: &'static str,
    build: fn() -> Result<Call>,
}

impl Path {
    /// Everything the path needs is built; the closure is one pass.
    ///
    /// # Errors
    /// When an engine cannot be opened.
    pub fn build(&self) -> Result<Call> {
        (self.build)()
    }
}

/// So many that how the keys happen to collide, which differs from run to run, averages out.
const KEYS: usize = 8192;

/// Every path.
pub const PATHS: [Path; 11] = [
    Path {
        name: "core-queue-push-pop",
        build: queue,
    },
    Path {
        name: "kv-get",
        build: kv_get,
    },
    Path {
        name: "kv-set",
        build: kv_set,
    },
    Path {
        name: "kv-keyed-get",
        build: || keyed_kv(false),
    },
    Path {
        name: "kv-keyed-put",
        build: || keyed_kv(true),
    },
    Path {
        name: "stm-tvar-modify",
        build: tvar,
    },
    Path {
        name: "stm-context-get",
        build: context_get,
    },
    Path {
        name: "stm-context-set-raw",
        build: context_set,
    },
    Path {
        name: "stm-keyed-put-hybrid",
        build: keyed_stm,
    },
    Path {
        name: "shard-map-put-commit",
        build: shard_put,
    },
    Path {
        name: "shard-map-get",
        build: shard_get,
    },
];

fn names() -> Vec<String> {
    (0..KEYS).map(|n| format!("session:{n:08}")).collect()
}

/// The next place of a round through the keys, in an order that is not that of memory.
fn next(at: &mut usize) -> usize {
    *at = (*at + 389) % KEYS;
    *at
}

fn queue() -> Result<Call> {
    let (mut producer, mut consumer) =
        <RtrbQueue as Queue<u64>>::bounded(NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN));
    Ok(Box::new(move || {
        let pushed = producer.push(black_box(7));
        anyhow::ensure!(pushed.is_ok() && consumer.pop().is_ok(), "an item was lost");
        Ok(())
    }))
}

fn store() -> Result<(Store, Vec<String>)> {
    let (store, names) = (Store::in_memory(), names());
    for name in &names {
        store.set(name, &b"a short value"[..])?;
    }
    Ok((store, names))
}

fn kv_get() -> Result<Call> {
    let (store, names) = store()?;
    let mut at = 0;
    Ok(Box::new(move || {
        anyhow::ensure!(
            black_box(store.get(&names[next(&mut at)])?).is_some(),
            "a key is gone"
        );
        Ok(())
    }))
}

fn kv_set() -> Result<Call> {
    let (store, names) = store()?;
    let mut at = 0;
    Ok(Box::new(move || {
        Ok(store.set(&names[next(&mut at)], &b"another value"[..])?)
    }))
}

/// A message through an inline worker, asked and answered.
fn ask(
    worker: &mut impl Worker<Keyed>,
    done: &mut Vec<quintet_core::Completion<Keyed>>,
    message: Keyed,
) -> Result<()> {
    anyhow::ensure!(worker.submit(message).is_ok(), "no credit");
    anyhow::ensure!(worker.flush().is_ok(), "closed");
    anyhow::ensure!(worker.reap(done, 1) == Ok(1), "no answer");
    for completion in done.drain(..) {
        black_box(completion.result?);
    }
    Ok(())
}

fn message(name: &str, is_put: bool) -> Keyed {
    let key = name.as_bytes().to_vec();
    if is_put {
        let value = b"another value".to_vec();
        Keyed::Put { key, value }
    } else {
        Keyed::Get { key }
    }
}

fn keyed_kv(is_put: bool) -> Result<Call> {
    let (store, names) = store()?;
    let mut worker = Inline::new(KvHandler::new(store), NonZeroUsize::MIN);
    let (mut at, mut done) = (0, Vec::new());
    Ok(Box::new(move || {
        ask(&mut worker, &mut done, message(&names[next(&mut at)], is_put))
    }))
}

fn tvar() -> Result<Call> {
    let variable = TVar::new(0_i64);
    Ok(Box::new(move || {
        Ok(atomically(|tx| tx.modify(&variable, |n| n.wrapping_add(1))).map(drop)?)
    }))
}

fn context() -> Result<(Context, Vec<String>)> {
    let context = Context::new("paths");
    let names: Vec<String> = (0..KEYS).map(|n| format!("data.k{n:06}")).collect();
    for name in &names {
        context.set_raw(name, 1_i64)?;
    }
    Ok((context, names))
}

fn context_get() -> Result<Call> {
    let (context, names) = context()?;
    let mut at = 0;
    Ok(Box::new(move || {
        anyhow::ensure!(
            black_box(context.get(&names[next(&mut at)])?).is_some(),
            "a key is gone"
        );
        Ok(())
    }))
}

fn context_set() -> Result<Call> {
    let (context, names) = context()?;
    let mut at = 0;
    Ok(Box::new(move || {
        Ok(context.set_raw(&names[next(&mut at)], 2_i64)?)
    }))
}

fn keyed_stm() -> Result<Call> {
    let context = Context::new("paths");
    let mut worker = Inline::new(
        ContextHandler::new(&context, Isolation::Hybrid),
        NonZeroUsize::MIN,
    );
    let (names, mut at, mut done) = (names(), 0, Vec::new());
    for name in &names {
        ask(&mut worker, &mut done, message(name, true))?;
    }
    Ok(Box::new(move || {
        ask(&mut worker, &mut done, message(&names[next(&mut at)], true))
    }))
}

fn map() -> Result<(MapHandler, Vec<String>)> {
    let (mut map, names) = (MapHandler::new(MapConfig::default()), names());
    for name in &names {
        map.handle(message(name, true))?;
    }
    map.commit()?;
    Ok((map, names))
}

fn shard_put() -> Result<Call> {
    let (mut map, names) = map()?;
    let mut at = 0;
    Ok(Box::new(move || {
        black_box(map.handle(message(&names[next(&mut at)], true))?);
        map.commit()?;
        Ok(())
    }))
}

fn shard_get() -> Result<Call> {
    let (mut map, names) = map()?;
    let mut at = 0;
    Ok(Box::new(move || {
        black_box(map.handle(message(&names[next(&mut at)], false))?);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs_and_has_a_name_of_its_own() {
        for (at, path) in PATHS.iter().enumerate() {
            assert!(PATHS[..at].iter().all(|other| other.name != path.name));
            let mut call = path.build().unwrap();
            for _ in 0..2 * KEYS {
                call().unwrap();
            }
        }
    }
}
