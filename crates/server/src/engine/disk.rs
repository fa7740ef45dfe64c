//! The disk under the data directory, watched like an engine: a server whose disk is full is not ready.

use super::Engine;
use crate::{port::metrics::Exposition, size::ByteSize};
use quintet_core::{Error, ErrorKind};
use serde_json::{Value, json};
use std::{io, path::PathBuf};

/// Below this the next log segment may not fit.
const LEAST_FREE_BYTES: u64 = 16 << 20;

/// The file system of the data directory.
pub(crate) struct Disk {
    data_dir: PathBuf,
}

impl Disk {
    /// That of a directory that exists.
    pub(crate) fn of(data_dir: PathBuf) -> Self {
        Self { data_dir }
    }

    /// What an unprivileged user may still write, and the size of it all, in bytes.
    fn space(&self) -> io::Result<(u64, u64)> {
        let disk = rustix::fs::statvfs(&self.data_dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok((bytes(disk.f_bavail), bytes(disk.f_blocks)))
    }
}

impl Engine for Disk {
    fn health(&self) -> Result<(), Error> {
        let (free, _) = self.space()?;
        if free < LEAST_FREE_BYTES {
            let why = format!("{} of disk space are left", ByteSize(free));
            return Err(Error::new(ErrorKind::Full, why));
        }
        Ok(())
    }

    fn stats(&self) -> Value {
        let (free, size) = self.space().unwrap_or_default();
        json!({ "free_bytes": free, "size_bytes": size })
    }

    fn metrics(&self, page: &mut Exposition) {
        let (free, size) = self.space().unwrap_or_default();
        page.gauge(
            "quintet_disk_free_bytes",
            "Disk space that may still be written.",
            free,
        );
        page.gauge("quintet_disk_size_bytes", "The size of the file system.", size);
    }
}
