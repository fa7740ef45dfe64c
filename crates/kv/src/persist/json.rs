//! Saving to and loading from JSON that a person can read and edit.

use crate::{
    KvError, Store,
    effect::Effect,
    value::{Bytes, Value, from_json, to_json},
};
use quintet_core::Result;
use quintet_log::{Directory, OpenMode};
use serde_json::{Value as Json, json};

const FORMAT: &str = "quintet-kv";
const VERSION: u64 = 1;
/// The largest file that is loaded.
const MOST_BYTES: u64 = 4 << 30;

impl Store {
    /// Writes every key, sorted, into a JSON file, replacing the one before at once and durably. A shard at a time.
    ///
    /// # Errors
    /// What the directory answers; the file before is then still there.
    pub fn save(&self, directory: &dyn Directory, name: &str) -> Result<()> {
        let mut entries = Vec::new();
        for key in self.keys() {
            let found = self.inner.write(&[&key], false, |transaction| {
                Ok(transaction
                    .slot(&key)?
                    .map(|slot| (slot.value.clone(), slot.expires_ms())))
            })?;
            if let (Some((value, expires_ms)), _) = found {
                entries.push((key, value, expires_ms));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value, expires_ms)| entry(key, value, *expires_ms))
            .collect();
        let document = json!({ "format": FORMAT, "version": VERSION, "entries": entries });
        let text = format!("{document:#}\n");
        let temporary = format!("{name}.new");
        let file = directory.open(&temporary, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        directory.rename(&temporary, name)?;
        directory.sync()
    }

    /// Sets every key of a JSON file that [`save`](Self::save) wrote, all or none, beside those that are there; answers
    /// how many. Keys that have expired meanwhile are left out.
    ///
    /// # Errors
    /// [`Corrupted`](quintet_core::ErrorKind::Corrupted) that says where the file is wrong; what the directory answers; as
    /// [`set`](Self::set).
    pub fn load(&self, directory: &dyn Directory, name: &str) -> Result<usize> {
        let file = directory.open(name, OpenMode::Read)?;
        let wrong = |reason: String| KvError::Damaged {
            what: name.to_owned(),
            reason,
        };
        let len = file.len()?;
        if len > MOST_BYTES {
            return Err(wrong(format!("{len} bytes are more than {MOST_BYTES}")).into());
        }
        let mut text = vec![0; len as usize];
        file.read_exact_at(&mut text, 0)?;
        let document: Json = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if document["format"] != FORMAT || document["version"] != VERSION {
            return Err(wrong(format!("`format` is not {FORMAT}, `version` {VERSION}")).into());
        }
        let entries = document["entries"].as_array().map_or(&[][..], Vec::as_slice);
        let mut parsed = Vec::with_capacity(entries.len());
        let now_ms = self.inner.wall_ms();
        for (at, entry) in entries.iter().enumerate() {
            let (key, value, expires_ms) =
                parse(entry).ok_or_else(|| wrong(format!("entry {at} is {entry}")))?;
            if expires_ms == 0 || expires_ms > now_ms {
                parsed.push((key, value, expires_ms));
            }
        }
        let keys: Vec<&[u8]> = parsed.iter().map(|(key, ..)| &**key).collect();
        self.change_grouped(&keys, |transaction| {
            for (key, value, expires_ms) in &parsed {
                let (value, expires_ms) = (value.clone(), *expires_ms);
                transaction.apply(key, Effect::Put { value, expires_ms })?;
            }
            Ok(parsed.len())
        })
    }
}

fn entry(key: &Bytes, value: &Value, expires_ms: u64) -> Json {
    let mut entry = json!({ "key": crate::value::text(key), "value": to_json(value) });
    if expires_ms > 0 {
        entry["expires_ms"] = json!(expires_ms);
    }
    entry
}

fn parse(entry: &Json) -> Option<(Bytes, Value, u64)> {
    let expires_ms = match entry.get("expires_ms") {
        None => 0,
        Some(at) => at.as_u64()?,
    };
    Some((
        crate::value::bytes_of(&entry["key"])?,
        from_json(entry.get("value")?).ok()?,
        expires_ms,
    ))
}
