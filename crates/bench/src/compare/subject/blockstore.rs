//! The metadata table of quintet-blockstore: one owner commits for all, readers read what is durable beside it.

use super::super::{
    session::{Beside, CREDITS, Session},
    workload::Level,
};
use super::{Engine, Entry, Home, Native, Served, log_config, log_directory, seen};
use anyhow::{Context as _, Result, bail};
use quintet_blockstore::meta::{KeyedHandler, Table, TableConfig, TableReader};
use quintet_core::{Keyed, KeyedReply, Parker, SystemClock, rtrb_queue::RtrbQueue};
use std::{
    sync::{Arc, mpsc},
    task::Waker,
};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "blockstore metadata",
    model: "one controller, for many I/O workers",
    ours: true,
    levels: &[Level::Relaxed, Level::Interval, Level::Full],
    headline: &[Level::Full],
    open: |home| Ok(Box::new(open(home)?) as Box<dyn Engine>),
}];

struct Metadata {
    owner: Served,
    reader: TableReader,
}

fn open(home: &Home) -> Result<Metadata> {
    let durability = home.level.durability().context("the table is always on disk")?;
    let log = log_config(home, durability);
    let config = TableConfig {
        max_batch_bytes: log.max_record_bytes,
        max_value_bytes: log.max_record_bytes / 4,
        log,
        ..TableConfig::default()
    };
    let (lmdb, log) = (home.dir("meta")?, log_directory(&home.dir("log")?)?);
    let (tell, told) = mpsc::channel();
    let owner = Served::start(move |parker| {
        let (table, _) = Table::open(&lmdb, log, config, Arc::new(SystemClock))?;
        table.on_progress(&Waker::from(parker.doorbell()))?;
        // Whoever opens waits for this.
        let _told = tell.send(table.reader());
        Ok(KeyedHandler::new(table))
    })?;
    let reader = told.recv().context("the owner ended")?;
    Ok(Metadata { owner, reader })
}

impl Engine for Metadata {
    fn connect(&self) -> Result<Session> {
        let parker = Parker::new();
        let writer = self
            .owner
            .connector()
            .connect::<RtrbQueue>(CREDITS, parker.doorbell());
        let Ok(writer) = writer else {
            bail!("the owner has ended")
        };
        let reader = self.reader.clone();
        let read = move |key: &[u8]| Ok(reader.get(key)?.map(|value| value.to_vec()));
        Ok(Session::parked(Beside::new(read, writer), parker))
    }

    fn native(&self) -> Result<Box<dyn Native + '_>> {
        Ok(Box::new(Direct {
            reader: &self.reader,
            writer: self.connect()?,
        }))
    }
}

/// Reads are the reader's own call; a write is a message to the owner in every case.
struct Direct<'a> {
    reader: &'a TableReader,
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
