//! LMDB through heed: a memory-mapped copy-on-write B-tree. One writer at a time, readers beside it, a sync per commit.
#![expect(unsafe_code, reason = "opening a memory map is unsafe in heed")]

use super::super::{
    transact::{EachForItself, OneWriter, Table, Transact},
    workload::Level,
};
use super::{Engine, Entry, Home};
use anyhow::Result;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, RwTxn, WithoutTls, types::Bytes};
use std::sync::Arc;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "LMDB",
        model: "whoever holds the one write transaction",
        ours: false,
        levels: &[Level::Full],
        headline: &[Level::Full],
        open: |home| Ok(Box::new(EachForItself(open(home)?)) as Box<dyn Engine>),
    },
    Entry {
        name: "LMDB, one writer",
        model: "one thread that writes for all, over LMDB",
        ours: false,
        levels: &[Level::Full],
        headline: &[],
        open: |home| Ok(Box::new(OneWriter::start(open(home)?)?) as Box<dyn Engine>),
    },
];

/// Address space, sparse on disk.
const MAP_BYTES: usize = 64 << 30;

type Tables = Database<'static, Bytes, Bytes>;

struct Store {
    env: Env<WithoutTls>,
    table: Tables,
}

fn open(home: &Home) -> Result<Arc<Store>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_BYTES).max_readers(1024).max_dbs(1);
    // SAFETY: the directory was made for this process alone, which opens it once at a time and changes the files through
    // LMDB only.
    let env = unsafe { options.open(home.dir("lmdb")?) }?;
    let txn = env.write_txn()?;
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let table: Database<'_, Bytes, Bytes> = opener.create_database(txn, Some("keyed"))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
    })?;
    let table = made.unwrap_commit();
    Ok(Arc::new(Store { env, table }))
}

impl Drop for Store {
    fn drop(&mut self) {
        // The next opening must not find this one: it waits until the last handle has gone.
        self.env.clone().prepare_for_closing();
    }
}

struct Open<'a> {
    txn: RwTxn<'a>,
    table: Tables,
}

impl Transact for Store {
    fn read(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<()> {
        let txn = self.env.read_txn()?;
        if let Some(value) = self.table.get(&txn, key)? {
            look(value);
        }
        Ok(())
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Table) -> Result<()>) -> Result<()> {
        let mut open = Open {
            txn: self.env.write_txn()?,
            table: self.table,
        };
        work(&mut open)?;
        open.txn.commit()?;
        Ok(())
    }
}

impl Table for Open<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.table.get(&self.txn, key)?.map(<[u8]>::to_vec))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.table.put(&mut self.txn, key, value)?;
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.table.delete(&mut self.txn, key)?)
    }
}
