//! A directory whose syncs a test can hold, over one that a power cut can hit.

use quintet_core::Result;
use quintet_log::{CrashDirectory, Directory, File, MemDirectory, OpenMode};
use std::sync::{Arc, Condvar, Mutex};

/// Whether syncs wait.
#[derive(Clone, Default)]
struct Gate {
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn pass(&self) {
        let (held, changed) = &*self.held;
        drop(changed.wait_while(held.lock().unwrap(), |held| *held).unwrap());
    }

    fn set(&self, hold: bool) {
        let (held, changed) = &*self.held;
        *held.lock().unwrap() = hold;
        changed.notify_all();
    }
}

/// Clones share the gate and the files.
#[derive(Clone)]
pub(crate) struct GateDirectory {
    disk: CrashDirectory,
    gate: Gate,
}

impl GateDirectory {
    pub(crate) fn new() -> Self {
        Self::over(MemDirectory::new())
    }

    pub(crate) fn over(files: MemDirectory) -> Self {
        Self {
            disk: CrashDirectory::over(files),
            gate: Gate::default(),
        }
    }

    /// From now on syncs wait, until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.gate.set(true);
    }

    pub(crate) fn release(&self) {
        self.gate.set(false);
    }

    /// What a power cut leaves now: nothing that is not synced.
    pub(crate) fn power_cut(&self) -> MemDirectory {
        self.disk.image(self.disk.moments(), 1)
    }
}

impl Directory for GateDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        Ok(Arc::new(GateFile {
            file: self.disk.open(name, mode)?,
            gate: self.gate.clone(),
        }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }

    fn sync(&self) -> Result<()> {
        self.gate.pass();
        self.disk.sync()
    }
}

struct GateFile {
    file: Arc<dyn File>,
    gate: Gate,
}

impl File for GateFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.file.allocate(offset, len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.file.punch_hole(offset, len)
    }

    fn name(&self) -> &str {
        self.file.name()
    }
}
