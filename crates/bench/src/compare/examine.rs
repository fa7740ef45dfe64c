//! The check before the clock: a subject must answer `Keyed` as core's suite demands, and keep what it acknowledged.
//!
//! A subject that fails is refused with the clause and what was seen; it is never timed.

use super::{
    session::Session,
    subject::{Engine, Entry, Home},
    workload::Level,
};
use anyhow::{Result, anyhow, bail, ensure};
use quintet_core::{Keyed, KeyedReply, conformance::keyed};
use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What the suite sees of a subject.
struct Examined {
    engine: Box<dyn Engine>,
    _dir: tempfile::TempDir,
}

impl keyed::Subject for Examined {
    type Worker = Session;

    fn worker(&self) -> Session {
        match self.engine.connect() {
            Ok(session) => session,
            Err(error) => panic!("it cannot be connected to: {error:#}"),
        }
    }
}

fn home(dir: &Path, level: Level) -> Home {
    Home {
        dir: dir.to_owned(),
        level,
        max_value_bytes: 64 << 10,
        segment_bytes: 4 << 20,
    }
}

/// Holds the subject to every clause, each on a fresh one in a directory of its own below `dir`.
///
/// # Errors
/// The first clause that it breaks, and how.
pub(super) fn examine(entry: &'static Entry, level: Level, dir: &Path) -> Result<usize> {
    ensure!(
        entry.levels.contains(&level),
        "{} does not run at level {level}",
        entry.name
    );
    let place = dir.to_owned();
    let make = move || {
        let opened = tempfile::tempdir_in(&place)
            .map_err(anyhow::Error::from)
            .and_then(|dir| Ok((((entry.open)(&home(dir.path(), level)))?, dir)));
        match opened {
            Ok((engine, dir)) => Examined { engine, _dir: dir },
            Err(error) => panic!("it cannot be opened: {error:#}"),
        }
    };
    let mut checked = 0;
    // The clauses panic where they do not hold; the reason is the panic's message, and is told once, by us.
    let loud = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut broken = None;
    for clause in keyed::clauses(make) {
        if let Err(panicked) = panic::catch_unwind(AssertUnwindSafe(|| (clause.run)())) {
            broken = Some(message(&*panicked));
            break;
        }
        checked += 1;
    }
    panic::set_hook(loud);
    if let Some(reason) = broken {
        bail!("{reason}");
    }
    adds_are_atomic(entry, level, dir)?;
    if level != Level::Memory {
        survives(entry, level, dir)?;
    }
    Ok(checked + 1 + usize::from(level != Level::Memory))
}

fn message(panicked: &(dyn Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().cloned();
    text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

/// Two clients that add to one counter lose nothing: what a race-prone subject fails only now and then.
fn adds_are_atomic(entry: &Entry, level: Level, dir: &Path) -> Result<()> {
    const ADDS: i64 = 200;
    let dir = tempfile::tempdir_in(dir)?;
    let engine = (entry.open)(&home(dir.path(), level))?;
    let refused = Arc::new(AtomicUsize::new(0));
    let mut sessions = [engine.connect()?, engine.connect()?];
    std::thread::scope(|scope| {
        for session in &mut sessions {
            let refused = Arc::clone(&refused);
            scope.spawn(move || {
                for _ in 0..ADDS {
                    let done = session.call(Keyed::Add {
                        key: b"shared".to_vec(),
                        delta: 1,
                    });
                    refused.fetch_add(usize::from(done.is_err()), Relaxed);
                }
            });
        }
    });
    let refused = refused.load(Relaxed);
    ensure!(
        refused == 0,
        "{refused} of {} concurrent adds were refused",
        2 * ADDS
    );
    let last = sessions[0].call(Keyed::Add {
        key: b"shared".to_vec(),
        delta: 0,
    })?;
    let expected = KeyedReply::Sum(2 * ADDS);
    ensure!(
        last == expected,
        "two clients added {} in all, the counter says {last:?}",
        2 * ADDS
    );
    Ok(())
}

/// What was acknowledged is there when the store is opened again.
fn survives(entry: &Entry, level: Level, dir: &Path) -> Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let home = home(dir.path(), level);
    let ask = |message| -> Result<KeyedReply> {
        let engine = (entry.open)(&home)?;
        let mut session = engine.connect()?;
        session.call(message)
    };
    let (key, value) = (b"kept".to_vec(), vec![7; 5000]);
    ask(Keyed::Put {
        key: key.clone(),
        value: value.clone(),
    })?;
    let found = ask(Keyed::Get { key })?;
    ensure!(
        found == KeyedReply::Value(Some(value)),
        "an acknowledged value of 5000 bytes was not there after the store was opened again"
    );
    Ok(())
}

/// The subject of that name.
///
/// # Errors
/// Names those that there are.
pub(super) fn named(name: &str) -> Result<&'static Entry> {
    super::subject::find(name).ok_or_else(|| {
        let names: Vec<_> = super::subject::all().map(|entry| entry.name).collect();
        anyhow!("there is no subject `{name}`; there are: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{
        map::{MapEngine, SharedMap},
        subject::all,
    };
    use std::{collections::HashMap, sync::Mutex};

    /// A map that answers wrongly in one way.
    #[derive(Default)]
    struct Liar<const HOW: u8>(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

    const SHORTENS: u8 = 0;
    const FORGETS: u8 = 1;
    const RACES: u8 = 2;

    impl<const HOW: u8> SharedMap for Liar<HOW> {
        fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.0.lock().unwrap().get(key).cloned()
        }

        fn put(&self, key: Vec<u8>, mut value: Vec<u8>) {
            if HOW == SHORTENS {
                value.truncate(1024);
            }
            self.0.lock().unwrap().insert(key, value);
        }

        fn add(&self, key: Vec<u8>, delta: i64) -> quintet_core::Result<i64> {
            let old = self.get(&key);
            let sum = Keyed::add_to(old.as_deref(), delta)?;
            if HOW == RACES {
                std::thread::yield_now();
            }
            self.put(key, sum.to_le_bytes().to_vec());
            Ok(sum)
        }

        fn delete(&self, key: &[u8]) -> bool {
            if HOW == FORGETS {
                return true;
            }
            self.0.lock().unwrap().remove(key).is_some()
        }
    }

    const fn liar(open: fn(&Home) -> Result<Box<dyn Engine>>) -> Entry {
        Entry {
            name: "liar",
            model: "nobody should trust it",
            ours: false,
            levels: &[Level::Memory, Level::Full],
            headline: &[],
            open,
        }
    }

    static SHORTENING: Entry = liar(|_| Ok(MapEngine::boxed(Liar::<SHORTENS>::default())));
    static FORGETTING: Entry = liar(|_| Ok(MapEngine::boxed(Liar::<FORGETS>::default())));
    static RACING: Entry = liar(|_| Ok(MapEngine::boxed(Liar::<RACES>::default())));
    static BROKEN: Entry = liar(|_| bail!("no disk"));
    /// An honest map that says it is durable.
    static BOASTING: Entry = liar(|_| Ok(MapEngine::boxed(Mutex::new(HashMap::default()))));

    fn refusal(entry: &'static Entry, level: Level) -> String {
        let dir = tempfile::tempdir().unwrap();
        format!("{:#}", examine(entry, level, dir.path()).unwrap_err())
    }

    #[test]
    fn a_subject_that_answers_wrongly_is_refused_with_the_reason() {
        let reason = refusal(&SHORTENING, Level::Memory);
        assert!(reason.contains("any_byte_may_occur"), "{reason}");
        let reason = refusal(&FORGETTING, Level::Memory);
        assert!(
            reason.contains("delete_says_whether_there_was_something"),
            "{reason}"
        );
        let reason = refusal(&RACING, Level::Memory);
        assert!(
            reason.contains("linearizable") || reason.contains("the counter says"),
            "{reason}"
        );
        assert!(refusal(&BROKEN, Level::Memory).contains("no disk"));
        assert!(refusal(&SHORTENING, Level::Relaxed).contains("does not run at level relaxed"));
    }

    #[test]
    fn a_subject_that_only_says_it_is_durable_is_refused() {
        let reason = refusal(&BOASTING, Level::Full);
        assert!(
            reason.contains("was not there after the store was opened again"),
            "{reason}"
        );
    }

    /// At its first and its last level; the smoke run goes through all.
    #[test]
    fn every_subject_passes() {
        for entry in all() {
            let (first, last) = (entry.levels[0], entry.levels[entry.levels.len() - 1]);
            let levels: &[Level] = if first == last { &[first] } else { &[first, last] };
            for level in levels {
                let dir = tempfile::tempdir().unwrap();
                if let Err(error) = examine(entry, *level, dir.path()) {
                    panic!("{} at {level}: {error:#}", entry.name);
                }
            }
        }
    }
}
