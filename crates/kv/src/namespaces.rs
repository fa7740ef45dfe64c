//! [`Namespaces`]: stores by name. Each is configured in exactly one place and opened by name everywhere else.

use crate::{Config, KvError, Store};
use quintet_core::{Clock, ErrorKind, Result};
use quintet_log::Directory;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A registry of stores. A namespace that is used before it is configured is a store in memory, and cannot be configured
/// any more.
pub struct Namespaces {
    clock: Arc<dyn Clock>,
    stores: Mutex<HashMap<String, Store>>,
}

impl Namespaces {
    /// An empty registry.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            stores: Mutex::new(HashMap::new()),
        }
    }

    /// Opens a namespace with its configuration; with a directory of its own if it is durable.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when it was configured or used before; as [`Store::open`].
    pub fn configure(
        &self,
        name: &str,
        config: Config,
        directory: Option<Arc<dyn Directory>>,
    ) -> Result<Store> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if stores.contains_key(name) {
            return Err(KvError::Configured {
                name: name.to_owned(),
            }
            .into());
        }
        let store = match directory {
            Some(directory) => Store::open(config, directory, self.clock.clone())?,
            None => Store::in_memory_with(config, self.clock.clone())?,
        };
        stores.insert(name.to_owned(), store.clone());
        Ok(store)
    }

    /// The namespace of this name.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) and the like when its thread cannot be started.
    pub fn open(&self, name: &str) -> Result<Store> {
        match self.configure(name, Config::memory(), None) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
                stores.get(name).cloned().ok_or(error)
            }
            opened => opened,
        }
    }
}
