//! Which collections there are. The manifest file is the truth: a collection exists when its entry is durable, and is
//! gone when its removal is.
//!
//! The file is replaced atomically (temporary file, fsync, rename, fsync of the directory) under the manifest's lock.
//! Collection numbers are never used again, so log records of a dropped collection are recognised and left out.

use crate::{
    distance::Measure,
    vector::{VectorError, entry::Collection},
};
use quintet_core::{Error, Result, Seq};
use quintet_log::{Directory, snapshot};
use std::{collections::BTreeMap, sync::Arc};

/// The manifest's name in the store's own directory.
pub(super) const FILE: &str = "manifest";
const VERSION: u32 = 1;
const MAX_DIMENSION: usize = 4096;
const MAX_NAME_BYTES: usize = 255;

/// How nearness is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Euclidean distance; the score is the distance, smaller is nearer.
    L2,
    /// The score is the inner product, larger is nearer.
    InnerProduct,
    /// The score is the cosine of the angle, larger is nearer.
    Cosine,
}

impl Metric {
    /// By what its rows are compared.
    pub(crate) fn measure(self) -> Measure {
        match self {
            Self::L2 => Measure::SquaredL2,
            Self::InnerProduct | Self::Cosine => Measure::Dot,
        }
    }
}

/// What a collection is made with; it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How many numbers a vector has: 1 to 4096.
    pub dimension: usize,
    /// How nearness is measured.
    pub metric: Metric,
    /// How many bytes of memory it may take, points and graph together: at least 1 KiB. Deleted points count until their
    /// block is emptied, which is when half of it is dead. When it is used up, the points that came first go to files, which
    /// are mapped; about 70 bytes a point and the open blocks, one a shard, stay in memory. When these take all of it, or the
    /// configuration has no cold tier, writes are refused.
    pub budget_bytes: u64,
}

impl Spec {
    fn validate(&self) -> Result<(), VectorError> {
        if self.dimension == 0 || self.dimension > MAX_DIMENSION {
            let reason = format!("{}; 1 to {MAX_DIMENSION}", self.dimension);
            return Err(VectorError::field("dimension", reason));
        }
        if self.budget_bytes < 1024 {
            let reason = format!("{}; at least 1024", self.budget_bytes);
            return Err(VectorError::field("budget_bytes", reason));
        }
        Ok(())
    }
}

/// What a collection holds now.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// What it was made with.
    pub spec: Spec,
    /// How many points it has.
    pub count: u64,
    /// How many bytes of its budget are taken.
    pub bytes: u64,
    /// The bytes of the files that points were moved to when the budget was used up.
    pub cold_bytes: u64,
    /// How many points the graph has, those that died since included.
    pub indexed: u64,
    /// The bytes of the graph's links; part of `bytes`.
    pub index_bytes: u64,
}

pub(crate) type Collections = BTreeMap<String, Arc<Collection>>;

/// The manifest's content. Behind the crate's one lock.
pub(crate) struct Catalogue {
    pub(crate) collections: Arc<Collections>,
    next_id: u64,
    shards: usize,
    limit: usize,
    /// Why it cannot be changed any more.
    broken: Option<VectorError>,
}

impl Catalogue {
    /// Reads the manifest, or makes the first one.
    pub(crate) fn open(directory: &dyn Directory, shards: usize, limit: usize) -> Result<Self> {
        let mut items = Vec::new();
        let found = snapshot::read(directory, FILE, &mut |item| {
            items.push(item.to_vec());
            Ok(())
        })?;
        let mut catalogue = Self {
            collections: Arc::default(),
            next_id: 1,
            shards,
            limit,
            broken: None,
        };
        match found {
            Some(_) => catalogue.decode(&items)?,
            None => catalogue.save(directory, &Collections::new(), 1)?,
        }
        Ok(catalogue)
    }

    pub(crate) fn create(&mut self, directory: &dyn Directory, name: &str, spec: Spec) -> Result<()> {
        spec.validate()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            let reason = format!("1 to {MAX_NAME_BYTES} bytes without control characters");
            return Err(VectorError::field("name", reason).into());
        }
        self.usable()?;
        let mut next = (*self.collections).clone();
        if next.contains_key(name) {
            return Err(VectorError::CollectionExists {
                name: name.to_owned(),
            }
            .into());
        }
        if next.len() == self.limit {
            let reason = format!("there are {} already, the limit", self.limit);
            return Err(VectorError::field("collections", reason).into());
        }
        let collection = Collection::new(self.next_id, name.to_owned(), spec, self.shards);
        next.insert(name.to_owned(), Arc::new(collection));
        self.change(directory, next, self.next_id + 1)
    }

    /// Takes a collection out; answers it, so that shards can be told.
    pub(crate) fn remove(&mut self, directory: &dyn Directory, name: &str) -> Result<Arc<Collection>> {
        self.usable()?;
        let mut next = (*self.collections).clone();
        let Some(collection) = next.remove(name) else {
            return Err(VectorError::NoCollection {
                name: name.to_owned(),
            }
            .into());
        };
        let changed = self.change(directory, next, self.next_id);
        collection.set_removed(changed.is_ok());
        changed.map(|()| collection)
    }

    fn usable(&self) -> Result<(), VectorError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn change(&mut self, directory: &dyn Directory, next: Collections, next_id: u64) -> Result<()> {
        match self.save(directory, &next, next_id) {
            Ok(()) => {
                self.collections = Arc::new(next);
                self.next_id = next_id;
                Ok(())
            }
            Err(cause) => {
                let broken = VectorError::Manifest { cause };
                self.broken = Some(broken.clone());
                Err(broken.into())
            }
        }
    }

    fn save(&self, directory: &dyn Directory, collections: &Collections, next_id: u64) -> Result<()> {
        snapshot::write(directory, FILE, Seq(next_id), |sink| {
            let mut head = Vec::new();
            head.extend_from_slice(&VERSION.to_le_bytes());
            head.extend_from_slice(&(self.shards as u32).to_le_bytes());
            head.extend_from_slice(&next_id.to_le_bytes());
            sink.put(&head)?;
            for collection in collections.values() {
                let mut entry = Vec::new();
                entry.extend_from_slice(&collection.id.to_le_bytes());
                entry.extend_from_slice(&collection.spec.budget_bytes.to_le_bytes());
                entry.extend_from_slice(&(collection.spec.dimension as u32).to_le_bytes());
                entry.push(match collection.spec.metric {
                    Metric::L2 => 0,
                    Metric::InnerProduct => 1,
                    Metric::Cosine => 2,
                });
                entry.extend_from_slice(collection.name.as_bytes());
                sink.put(&entry)?;
            }
            Ok(())
        })
    }

    fn decode(&mut self, items: &[Vec<u8>]) -> Result<()> {
        let damaged = |reason: &str| VectorError::damaged("the manifest", reason);
        let (head, entries) = items.split_first().ok_or_else(|| damaged("it is empty"))?;
        let (version, rest) = head
            .split_first_chunk()
            .ok_or_else(|| damaged("its head is short"))?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            let message = format!("the manifest has version {version}, this build reads {VERSION}");
            return Err(Error::new(quintet_core::ErrorKind::Unsupported, message));
        }
        let (stored, rest) = rest
            .split_first_chunk()
            .ok_or_else(|| damaged("its head is short"))?;
        let stored = u32::from_le_bytes(*stored) as usize;
        if stored != self.shards {
            let configured = self.shards;
            return Err(VectorError::ShardCount { stored, configured }.into());
        }
        let next_id = rest
            .try_into()
            .map_err(|_| damaged("its head has another length"))?;
        self.next_id = u64::from_le_bytes(next_id);
        let mut collections = Collections::new();
        for entry in entries {
            let collection = self
                .entry(entry)
                .ok_or_else(|| damaged("an entry is malformed"))?;
            collection.spec.validate()?;
            collections.insert(collection.name.clone(), Arc::new(collection));
        }
        self.collections = Arc::new(collections);
        Ok(())
    }

    fn entry(&self, entry: &[u8]) -> Option<Collection> {
        let (id, rest) = entry.split_first_chunk()?;
        let (budget_bytes, rest) = rest.split_first_chunk()?;
        let (dimension, rest) = rest.split_first_chunk()?;
        let (metric, name) = rest.split_first()?;
        let spec = Spec {
            dimension: u32::from_le_bytes(*dimension) as usize,
            metric: *[Metric::L2, Metric::InnerProduct, Metric::Cosine].get(usize::from(*metric))?,
            budget_bytes: u64::from_le_bytes(*budget_bytes),
        };
        let name = std::str::from_utf8(name).ok()?.to_owned();
        Some(Collection::new(u64::from_le_bytes(*id), name, spec, self.shards))
    }
}
