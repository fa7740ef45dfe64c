//! [`Snapshot`]: a context as it was at one version, while others go on writing.
//!
//! Taking one is O(1) in the number of keys: the key structure is a persistent map, shared; cells keep their old values
//! from then on, for as long as a snapshot needs them.

use super::{
    Shared, below,
    cell::Cell,
    journal::{Image, Journal},
    path::Path,
    value::Value,
    zone::{Capability, Zone},
};
use crate::primitive::lock;
use im::OrdMap;
use std::{fmt, sync::Arc};

/// A frozen, consistent view. It holds memory: one older value for each value written since. Drop it when done.
pub struct Snapshot {
    shared: Arc<Shared>,
    structure: OrdMap<Path, Arc<Cell>>,
    version: u64,
}

impl Snapshot {
    pub(super) fn take_locked(shared: &Arc<Shared>, journal: &mut Journal) -> Self {
        Self {
            version: journal.open_snapshot(&shared.domain, &shared.needed),
            structure: journal.structure.clone(),
            shared: Arc::clone(shared),
        }
    }

    /// Its version: that of the last commit, or a later one of the clock.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The value at a path. `None` also for what an ordinary transaction may not read.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        let cell = self.structure.get(path)?;
        Self::is_readable(cell)
            .then(|| cell.read_at(self.version))
            .flatten()
    }

    /// Every path below a branch, with its value, in order; `""` is the whole context.
    pub fn iter<'a>(&'a self, branch: &str) -> impl Iterator<Item = (&'a Path, Value)> + 'a {
        below(&self.structure, branch)
            .filter(|cell| Self::is_readable(cell))
            .filter_map(|cell| Some((&cell.path, cell.read_at(self.version)?)))
    }

    /// The whole state, also what an ordinary transaction may not read, as [`replay`](super::Context::replay) answers it.
    /// O(keys).
    #[must_use]
    pub fn image(&self) -> Image {
        self.all().map(|(path, value)| (path.clone(), value)).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, Value)> {
        let cells = self.structure.values();
        cells.filter_map(|cell| Some((&cell.path, cell.read_at(self.version)?)))
    }

    fn is_readable(cell: &Arc<Cell>) -> bool {
        Zone::allows(cell.zone, Capability::Read)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        lock(&self.shared.journal).close_snapshot(self.version, &self.shared.needed);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
