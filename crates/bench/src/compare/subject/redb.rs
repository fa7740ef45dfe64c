//! redb: a copy-on-write B-tree in one file, in Rust. One writer at a time, readers beside it.
//!
//! At level full each commit is `Durability::Immediate`. Its other level, `None`, keeps commits in its own memory until
//! the next immediate one: that is weaker than relaxed, so it does not take part there.

use super::super::{
    transact::{EachForItself, OneWriter, Table, Transact},
    workload::Level,
};
use super::{Engine, Entry, Home};
use ::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use anyhow::Result;
use std::sync::Arc;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "redb",
        model: "whoever holds the one write transaction",
        ours: false,
        levels: &[Level::Full],
        headline: &[Level::Full],
        open: |home| Ok(Box::new(EachForItself(open(home)?)) as Box<dyn Engine>),
    },
    Entry {
        name: "redb, one writer",
        model: "one thread that writes for all, over redb",
        ours: false,
        levels: &[Level::Full],
        headline: &[],
        open: |home| Ok(Box::new(OneWriter::start(open(home)?)?) as Box<dyn Engine>),
    },
];

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("keyed");

struct Store(Database);

fn open(home: &Home) -> Result<Arc<Store>> {
    let database = Database::create(home.dir("redb")?.join("data.redb"))?;
    let txn = database.begin_write()?;
    txn.open_table(TABLE)?;
    txn.commit()?;
    Ok(Arc::new(Store(database)))
}

impl Transact for Store {
    fn read(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<()> {
        let txn = self.0.begin_read()?;
        if let Some(value) = txn.open_table(TABLE)?.get(key)? {
            look(value.value());
        }
        Ok(())
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Table) -> Result<()>) -> Result<()> {
        // A new transaction is `Durability::Immediate`.
        let txn = self.0.begin_write()?;
        work(&mut txn.open_table(TABLE)?)?;
        txn.commit()?;
        Ok(())
    }
}

impl Table for ::redb::Table<'_, &'static [u8], &'static [u8]> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(ReadableTable::get(self, key)?.map(|value| value.value().to_vec()))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.insert(key, value)?;
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.remove(key)?.is_some())
    }
}
