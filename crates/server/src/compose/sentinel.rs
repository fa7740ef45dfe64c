//! Logs when an engine stops taking writes, and when it takes them again: for those whose ports have no log of their own, and
//! for operators who ask `/readyz` nothing. Looks once a second, on a thread of its own.

use crate::{engine::Roster, port::life::Life, port::life::Stage};
use quintet_core::{Error, ErrorKind};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

const PACE: Duration = Duration::from_secs(1);

/// Ends the looking when it is dropped.
pub(super) struct Sentinel(#[expect(dead_code, reason = "its end is what it says")] SyncSender<()>);

impl Sentinel {
    /// Begins to look.
    pub(super) fn start(roster: Arc<Roster>, life: Life) -> io::Result<Self> {
        let (alive, ended) = sync_channel(0);
        thread::Builder::new().name("sentinel".into()).spawn(move || {
            let mut seen = Vec::new();
            while ended.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                // What closes is not well, and that is no news.
                if life.stage() == Stage::Serving {
                    look(&roster, &mut seen);
                }
            }
        })?;
        Ok(Self(alive))
    }
}

/// Tells what has changed since the last look.
fn look(roster: &Roster, seen: &mut Vec<Option<ErrorKind>>) {
    seen.resize(roster.entries().len(), None);
    for (entry, before) in roster.entries().iter().zip(seen) {
        let Ok(Ok(engine)) = entry.look() else { continue };
        let trouble = engine.health().err();
        let kind = trouble.as_ref().map(Error::kind);
        if kind != *before {
            tell(entry.name, trouble.as_ref());
            *before = kind;
        }
    }
}

fn tell(engine: &str, trouble: Option<&Error>) {
    let reason = trouble.map(Error::context);
    match trouble.map(Error::kind) {
        None => tracing::info!(engine, "takes writes again"),
        Some(ErrorKind::Full) => tracing::warn!(engine, reason, "full: refuses what needs room"),
        Some(ErrorKind::Poisoned) => {
            tracing::error!(engine, reason, "poisoned: refuses writes until a restart")
        }
        Some(_) => tracing::error!(engine, reason, "refuses writes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Engine, Mount},
        port::metrics::Exposition,
    };
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    };
    use tracing_subscriber::fmt::MakeWriter;

    struct Sick(Arc<AtomicBool>);

    impl Engine for Sick {
        fn health(&self) -> Result<(), Error> {
            if self.0.load(Relaxed) {
                return Err(Error::new(ErrorKind::Poisoned, "a flush failed"));
            }
            Ok(())
        }

        fn stats(&self) -> serde_json::Value {
            serde_json::Value::Null
        }

        fn metrics(&self, _page: &mut Exposition) {}
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("locked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let is_sick = Arc::new(AtomicBool::new(false));
        let (mut roster, mount) = (Roster::default(), Mount::new("kv"));
        roster.add(&mount);
        mount.fill(Arc::new(Sick(Arc::clone(&is_sick))));
        let (lines, mut seen) = (Lines::default(), Vec::new());
        let log = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(log, || {
            for sick in [false, true, true, false, false] {
                is_sick.store(sick, Relaxed);
                look(&roster, &mut seen);
            }
        });
        let text = String::from_utf8(lines.0.lock().expect("locked").clone()).expect("text");
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 2, "{text}");
        assert!(
            told[0].contains("ERROR") && told[0].contains("engine=\"kv\""),
            "{text}"
        );
        assert!(
            told[0].contains("a flush failed") && told[1].contains("takes writes again"),
            "{text}"
        );
    }
}
