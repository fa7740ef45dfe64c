//! A directory whose file syncs can be held, to look at what goes on meanwhile.

use quintet_core::Result;
use quintet_log::{Directory, File, MemDirectory, OpenMode};
use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};

#[derive(Clone, Default)]
pub(crate) struct Gate {
    inner: MemDirectory,
    state: Arc<(Mutex<Hold>, Condvar)>,
    syncs: Arc<AtomicU64>,
}

#[derive(Default)]
struct Hold {
    closed: bool,
    waiting: u64,
}

impl Gate {
    /// Syncs that begin from now on wait for [`open`](Self::open_gate).
    pub(crate) fn close_gate(&self) {
        self.state.0.lock().unwrap().closed = true;
    }

    pub(crate) fn open_gate(&self) {
        self.state.0.lock().unwrap().closed = false;
        self.state.1.notify_all();
    }

    /// Syncs at the gate now.
    pub(crate) fn waiting(&self) -> u64 {
        self.state.0.lock().unwrap().waiting
    }

    /// File syncs done so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

impl Directory for Gate {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self.inner.open(name, mode)?;
        Ok(Arc::new(GatedFile(file, self.clone())))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

struct GatedFile(Arc<dyn File>, Gate);

impl File for GatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        let (hold, changed) = &*self.1.state;
        let mut hold = hold.lock().unwrap();
        hold.waiting += 1;
        while hold.closed {
            hold = changed.wait(hold).unwrap();
        }
        hold.waiting -= 1;
        drop(hold);
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.sync_data()
    }

    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.0.allocate(offset, len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.0.punch_hole(offset, len)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}
