//! What is done about a write before its turn, on the thread that asks for it: the form in which its documents are stored, and
//! their rows in order. What is left to the writer is to compare them with what is there.
//!
//! Nothing here looks at the tree, so a document with server values in it is left as it is: the writer makes its form and its
//! rows, by the same functions. Called by the tree for its callers, by the writer for whoever sends it messages of their own.

use crate::{
    Action, Config, Path, TreeError,
    message::{Work, value_bytes},
    path::key,
    value::{
        canonical::{self, Rules},
        scalar,
    },
    view::leaf_key,
};
use serde_json::Value;

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// One place and what is to be there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: Path,
    /// In the form in which it is stored, if there are rows.
    pub(crate) value: Value,
    /// In the order of their keys; `None` = it has server values.
    pub(crate) rows: Option<Vec<Row>>,
}

impl Target {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let rows = self.rows.iter().flatten();
        let rows: u64 = rows
            .map(|(key, value)| 48 + (key.len() + value.len()) as u64)
            .sum();
        self.path.bytes().len() as u64 + value_bytes(&self.value) + rows
    }
}

/// Does what can be done without the tree.
pub(crate) fn prepare(config: &Config, path: &Path, work: Work) -> Result<Vec<Target>, TreeError> {
    let places = match work {
        Work::Ready { targets, .. } => return Ok(targets),
        Work::Asked(Action::Set(value)) => vec![(path.clone(), value)],
        Work::Asked(Action::Update(changes)) => places(config, path, changes)?,
    };
    let target = |(path, value): (Path, Value)| {
        check_path(config, &path)?;
        if canonical::has_server_values(&value) {
            return Ok(Target {
                path,
                value,
                rows: None,
            });
        }
        let value = canonical::canonical(value, &path, &rules(config, 0, &|_| Ok(None)))?;
        let rows = Some(rows(&path, &value));
        Ok(Target { path, value, rows })
    };
    places.into_iter().map(target).collect()
}

/// What a document may contain, and what its server values become.
pub(crate) fn rules<'a>(config: &Config, now_ms: u64, current: &'a canonical::Current<'a>) -> Rules<'a> {
    Rules {
        names: config.names,
        max_depth: config.max_depth,
        max_text_bytes: config.max_text_bytes,
        now_ms,
        current,
    }
}

/// The places of an update, none of them within another.
fn places(
    config: &Config,
    path: &Path,
    changes: Vec<(Path, Value)>,
) -> Result<Vec<(Path, Value)>, TreeError> {
    if changes.len() > config.max_update_paths {
        return Err(TreeError::TooLarge {
            what: "an update in paths",
            len: changes.len() as u64,
            max: config.max_update_paths as u64,
        });
    }
    let mut places = Vec::with_capacity(changes.len());
    for (relative, value) in changes {
        places.push((path.join(&relative)?, value));
    }
    places.sort_by(|(a, _), (b, _)| a.cmp(b));
    for pair in places.windows(2) {
        if let [(above, _), (below, _)] = pair
            && below.is_within(above)
        {
            return Err(TreeError::Overlap {
                path: above.clone(),
                below: below.clone(),
            });
        }
    }
    Ok(places)
}

/// Checks the names and the depth of a place to write to.
fn check_path(config: &Config, path: &Path) -> Result<(), TreeError> {
    let mut depth = 0;
    for name in path.names() {
        config.names.check(&name)?;
        depth += 1;
    }
    if depth > config.max_depth {
        return Err(TreeError::TooDeep {
            depth,
            max: config.max_depth,
        });
    }
    Ok(())
}

/// The rows of a document in its stored form, in the order of their keys.
pub(crate) fn rows(path: &Path, value: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    add(&mut rows, &mut leaf_key(path), value);
    // Names that are numbers are in another order there.
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    rows
}

fn add(rows: &mut Vec<Row>, node: &mut Vec<u8>, value: &Value) {
    let len = node.len();
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                key::push_place(node, index);
                add(rows, node, item);
                node.truncate(len);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                key::push(node, name);
                add(rows, node, item);
                node.truncate(len);
            }
        }
        leaf => rows.extend(scalar::encode(leaf).map(|bytes| (node.clone(), bytes))),
    }
}
