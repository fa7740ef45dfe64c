//! The message that all engines answer, over the tree: each key is a child of [`PLACE`], each value a text of base64.
//!
//! A key's name is `=` and the key's bytes, all but letters, digits, `-` and `_` as `%XX`. So what comes by this message can
//! be read, watched and queried like all else. A longer key is a path: `+` and 200 bytes for each level but the last.

use crate::{Path, TreeError, TreeHandler, TreeReply, View, Write, inner::Inner};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use quintet_core::{Commit, Keyed, KeyedReply, MessageHandler, Result};
use serde_json::Value;
use std::{fmt::Write as _, sync::Arc};

/// The child of the root that holds the keys.
pub const PLACE: &str = "keyed";
/// How many bytes of a key one name holds: at most 601 characters.
const NAME_KEY_BYTES: usize = 200;
const MAX_KEY_BYTES: usize = 100 * NAME_KEY_BYTES;

/// A [`MessageHandler`] for [`Keyed`] over a [`TreeHandler`].
pub struct KeyedHandler {
    tree: TreeHandler,
}

impl KeyedHandler {
    /// A handler that owns `tree`.
    #[must_use]
    pub fn new(tree: TreeHandler) -> Self {
        Self { tree }
    }

    /// The tree's own handler, while it is owned.
    pub fn tree_mut(&mut self) -> &mut TreeHandler {
        &mut self.tree
    }

    /// What reads the keys beside the writer, on any thread.
    #[must_use]
    pub fn reader(&self) -> KeyedReader {
        KeyedReader {
            inner: self.tree.inner(),
        }
    }

    fn put(&mut self, path: Path, value: &[u8]) -> Result<(), TreeError> {
        self.write(path, Value::String(STANDARD.encode(value)))
    }

    fn write(&mut self, path: Path, value: Value) -> Result<(), TreeError> {
        match self.tree.write(Write::set(path, value))? {
            TreeReply::Written(_) => Ok(()),
            TreeReply::Value(_) | TreeReply::Mismatch { .. } | TreeReply::Reindexed => Err(TreeError::Closed),
        }
    }
}

/// Reads committed keys without asking the writer. Clonable, for any thread.
#[derive(Clone)]
pub struct KeyedReader {
    inner: Arc<Inner>,
}

impl KeyedReader {
    /// The committed value, from a snapshot of its own.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] for a key that no tree can hold, `Busy` when every reader's slot is in use, what LMDB
    /// answers.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TreeError> {
        let path = place(key)?;
        self.inner.read(|view| find(view, &path))
    }
}

/// Where a key is.
fn place(key: &[u8]) -> Result<Path, TreeError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(TreeError::TooLarge {
            what: "a key in bytes",
            len: key.len() as u64,
            max: MAX_KEY_BYTES as u64,
        });
    }
    let mut names = vec![PLACE.to_owned()];
    let mut rest = key;
    while rest.len() > NAME_KEY_BYTES {
        let (first, after) = rest.split_at(NAME_KEY_BYTES);
        names.push(escaped('+', first));
        rest = after;
    }
    names.push(escaped('=', rest));
    Path::from_names(names.iter().map(String::as_str))
}

fn escaped(first: char, bytes: &[u8]) -> String {
    let mut name = String::from(first);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(*byte));
        } else {
            let _infallible = write!(name, "%{byte:02X}");
        }
    }
    name
}

fn find(view: &View<'_>, path: &Path) -> Result<Option<Vec<u8>>, TreeError> {
    let damaged = || TreeError::Value {
        path: path.clone(),
        fault: "is not base64".into(),
    };
    match view.get(path)? {
        Value::Null => Ok(None),
        Value::String(text) => STANDARD.decode(text).map(Some).map_err(|_| damaged()),
        _ => Err(damaged()),
    }
}

impl MessageHandler<Keyed> for KeyedHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        let path = place(message.key())?;
        match message {
            Keyed::Get { .. } => Ok(KeyedReply::Value(self.tree.committed(|view| find(view, &path))?)),
            Keyed::Put { value, .. } => {
                self.put(path, &value)?;
                Ok(KeyedReply::Stored)
            }
            Keyed::Add { delta, .. } => {
                let current = self.tree.staged(|view| find(view, &path))?;
                let sum = Keyed::add_to(current.as_deref(), delta)?;
                self.put(path, &sum.to_le_bytes())?;
                Ok(KeyedReply::Sum(sum))
            }
            Keyed::Delete { .. } => {
                let found = self.tree.staged(|view| view.exists(&path))?;
                if found {
                    self.write(path, Value::Null)?;
                }
                Ok(KeyedReply::Deleted(found))
            }
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        self.tree.commit()
    }
}
