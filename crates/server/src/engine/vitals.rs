//! [`Vitals`]: what every engine can be watched by, in one shape: `/stats` shows it, the page draws it.
//!
//! Counters only grow, so that whoever reads twice has a rate, and of the answer times a percentile of what lies between.
//! What an engine does not measure is absent, not zero.

use serde_json::{Map, Value};
use std::{fs, path::Path};

/// How deep an engine's folder is looked into.
const DEPTH: usize = 4;
/// The unit of a file's block count.
const BLOCK_BYTES: u64 = 512;

/// Times, counted between bounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Times {
    /// Upper bounds in microseconds, rising.
    pub(crate) bounds_us: Vec<u64>,
    /// How many were at most each bound and above the one before; the last: beyond all.
    pub(crate) counts: Vec<u64>,
}

/// An engine's figures at one moment; `None` = not measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Vitals {
    /// Requests taken since the start.
    pub(crate) operations: Option<u64>,
    /// How long some kind of request took since the start; the engine's documentation says which.
    pub(crate) times: Option<Times>,
    /// Requests that wait now.
    pub(crate) queued: Option<u64>,
    /// Memory that its data takes.
    pub(crate) memory_bytes: Option<u64>,
    /// Disk space that its files take.
    pub(crate) disk_bytes: Option<u64>,
}

impl Vitals {
    /// Adds requests that reached the engine by another port, with their times.
    pub(crate) fn add(&mut self, operations: u64, times: Times) {
        *self.operations.get_or_insert(0) += operations;
        self.times.get_or_insert(times);
    }

    /// As `/stats` shows them.
    pub(crate) fn json(&self) -> Value {
        let mut fields = Map::new();
        let numbers = [
            ("operations", self.operations),
            ("queued", self.queued),
            ("memory_bytes", self.memory_bytes),
            ("disk_bytes", self.disk_bytes),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                fields.insert(name.to_owned(), number.into());
            }
        }
        if let Some(times) = &self.times {
            fields.insert("bounds_us".to_owned(), times.bounds_us.clone().into());
            fields.insert("counts".to_owned(), times.counts.clone().into());
        }
        Value::Object(fields)
    }
}

/// The disk space of the files in an engine's folder, in bytes: what is allocated, so that a sparse or a preallocated file
/// counts as what it takes. What cannot be read counts as nothing: a log may remove a segment meanwhile.
pub(crate) fn taken_bytes(folder: &Path) -> u64 {
    within(folder, DEPTH)
}

fn within(folder: &Path, depth: usize) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(file) if file.is_dir() && depth > 0 => within(&entry.path(), depth - 1),
        Ok(file) if file.is_file() => file.blocks() * BLOCK_BYTES,
        _ => 0,
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_measured_is_not_shown() {
        let mut vitals = Vitals {
            queued: Some(3),
            ..Vitals::default()
        };
        assert_eq!(vitals.json(), json!({ "queued": 3 }));
        let times = Times {
            bounds_us: vec![10, 20],
            counts: vec![1, 0, 2],
        };
        vitals.add(3, times.clone());
        vitals.add(2, times);
        assert_eq!(
            vitals.json(),
            json!({ "operations": 5, "queued": 3, "bounds_us": [10, 20], "counts": [1, 0, 2] })
        );
    }

    #[test]
    fn files_below_a_folder_are_counted_by_what_they_take() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(taken_bytes(&dir.path().join("none")), 0);
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        fs::write(dir.path().join("a/b/file"), vec![1; 100_000]).expect("written");
        let sparse = fs::File::create(dir.path().join("sparse")).expect("made");
        sparse.set_len(1 << 30).expect("sized");
        let taken = taken_bytes(dir.path());
        assert!((100_000..1 << 20).contains(&taken), "{taken}");
    }
}
