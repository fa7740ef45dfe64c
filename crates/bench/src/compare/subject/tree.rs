//! quintet-tree: one writer gathers what comes meanwhile into one transaction, readers take a snapshot each beside it.
//!
//! Every level of the tree syncs before the reply, so it takes part at level full only.

use super::super::{
    session::{Beside, CREDITS, Session},
    workload::Level,
};
use super::{Engine, Entry, Home, Native, Served, seen};
use anyhow::{Context as _, Result, bail};
use quintet_core::{Keyed, KeyedReply, Parker, SystemClock, rtrb_queue::RtrbQueue};
use quintet_tree::{Config, KeyedHandler, KeyedReader, TreeHandler};
use std::sync::{Arc, mpsc};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "tree",
    model: "one writer, beside many readers",
    ours: true,
    levels: &[Level::Full],
    headline: &[Level::Full],
    open: |home| Ok(Box::new(open(home)?) as Box<dyn Engine>),
}];

struct Tree {
    writer: Served,
    reader: KeyedReader,
}

fn open(home: &Home) -> Result<Tree> {
    let config = Config {
        map_bytes: 64 << 30,
        ..Config::new(home.dir("tree")?)
    };
    let (tell, told) = mpsc::channel();
    let writer = Served::start(move |_| {
        let handler = KeyedHandler::new(TreeHandler::open(config, Arc::new(SystemClock))?);
        // Whoever opens waits for this.
        let _told = tell.send(handler.reader());
        Ok(handler)
    })?;
    let reader = told.recv().context("the writer ended")?;
    Ok(Tree { writer, reader })
}

impl Engine for Tree {
    fn connect(&self) -> Result<Session> {
        let parker = Parker::new();
        let writer = self
            .writer
            .connector()
            .connect::<RtrbQueue>(CREDITS, parker.doorbell());
        let Ok(writer) = writer else {
            bail!("the writer has ended")
        };
        let reader = self.reader.clone();
        let read = move |key: &[u8]| Ok(reader.get(key)?);
        Ok(Session::parked(Beside::new(read, writer), parker))
    }

    fn native(&self) -> Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct {
            reader: &self.reader,
            writer: self.connect()?,
        }))
    }
}

/// Reads are the reader's own call; a write is a message to the writer in every case.
struct Direct<'a> {
    reader: &'a KeyedReader,
    writer: Session,
}

impl Native for Direct<'_> {
    fn get(&mut self, key: &[u8], mark: u64) -> Result<Option<(usize, bool)>> {
        Ok(self.reader.get(key)?.map(|value| seen(&value, mark)))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (key.to_vec(), value.to_vec());
        match self.writer.call(Keyed::Put { key, value })? {
            KeyedReply::Stored => Ok(()),
            other => bail!("a put was answered by {other:?}"),
        }
    }

    fn add(&mut self, key: &[u8], delta: i64) -> Result<()> {
        let key = key.to_vec();
        match self.writer.call(Keyed::Add { key, delta })? {
            KeyedReply::Sum(_) => Ok(()),
            other => bail!("an addition was answered by {other:?}"),
        }
    }
}
