//! quintet-stm through its context's handler, at each of the three levels of isolation.

use super::super::{
    session::{CREDITS, Session},
    workload::Level,
};
use super::{Engine, Entry, Home, Native, log_config, log_directory, seen};
use anyhow::Result;
use quintet_core::{Inline, SystemClock};
use quintet_stm::{Context, ContextConfig, ContextHandler, Isolation, Value};
use std::sync::Arc;

const LEVELS: &[Level] = &[Level::Memory, Level::Relaxed, Level::Interval, Level::Full];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "stm safe",
        model: "whoever's commit validates; serializable, recorded",
        ours: true,
        levels: LEVELS,
        headline: &[Level::Full],
        open: |home| open(home, Isolation::Safe),
    },
    Entry {
        name: "stm hybrid",
        model: "whoever's commit validates; snapshot, recorded",
        ours: true,
        levels: LEVELS,
        headline: &[Level::Memory, Level::Full],
        open: |home| open(home, Isolation::Hybrid),
    },
    Entry {
        name: "stm raw",
        model: "whoever writes the cell; no validation, no history",
        ours: true,
        levels: LEVELS,
        headline: &[Level::Full],
        open: |home| open(home, Isolation::Raw),
    },
];

struct Stm {
    context: Context,
    isolation: Isolation,
}

fn open(home: &Home, isolation: Isolation) -> Result<Box<dyn Engine>> {
    let config = ContextConfig {
        max_value_bytes: home.max_value_bytes.max(1 << 20),
        ..ContextConfig::default()
    };
    let context = match home.level.durability() {
        None => Context::with_config("bench", config)?,
        Some(durability) => {
            let log = log_config(home, durability);
            let directory = log_directory(&home.dir("stm")?)?;
            Context::open("bench", directory, config, log, Arc::new(SystemClock))?.0
        }
    };
    Ok(Box::new(Stm { context, isolation }))
}

impl Engine for Stm {
    fn connect(&self) -> Result<Session> {
        let handler = ContextHandler::new(&self.context, self.isolation);
        Ok(Session::inline(Inline::new(handler, CREDITS)))
    }

    fn native(&self) -> Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct {
            stm: self,
            path: String::new(),
        }))
    }
}

struct Direct<'a> {
    stm: &'a Stm,
    path: String,
}

impl Direct<'_> {
    /// The path under which the handler keeps a key, or one beside it for counters of the context's own kind.
    fn name(&mut self, branch: &str, key: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.path.clear();
        self.path.push_str(branch);
        for byte in key {
            self.path.push(char::from(DIGITS[usize::from(byte >> 4)]));
            self.path.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl Native for Direct<'_> {
    fn get(&mut self, key: &[u8], mark: u64) -> Result<Option<(usize, bool)>> {
        self.name("keyed.k", key);
        let value = self.stm.context.get(&self.path)?;
        Ok(value
            .as_ref()
            .and_then(Value::as_bytes)
            .map(|bytes| seen(bytes, mark)))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.name("keyed.k", key);
        let (context, path) = (&self.stm.context, self.path.as_str());
        match self.stm.isolation {
            Isolation::Raw => context.set_raw(path, value.to_vec())?,
            isolation => context.run(isolation, |tx| tx.set(path, value.to_vec()))?,
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], delta: i64) -> Result<()> {
        self.name("counters.k", key);
        let (context, path) = (&self.stm.context, self.path.as_str());
        match self.stm.isolation {
            Isolation::Raw => context.increment_raw(path, delta)?,
            isolation => context.run(isolation, |tx| tx.increment(path, delta))?,
        }
        Ok(())
    }
}
