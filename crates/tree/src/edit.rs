//! What one write does to the rows: server values, leaves, index entries. Nothing here knows about commits.
//!
//! Invariant: a leaf has nothing below it and no leaf above it. Only rows that differ from what is there are set, so the rest
//! costs no page of the next commit. Called by the handler, on a stage of its own per message.

use crate::{
    Config, Path, TreeError, View,
    index::{self, Indexes},
    path::key,
    prepare::{self, Row, Target},
    store::{
        LEAVES, Stage,
        long::{self, Way},
    },
    value::canonical::canonical,
    view::{end_of, leaf_key},
};
use serde_json::Value;
use std::ops::ControlFlow;

/// One place and what is there afterwards.
pub(crate) type Changed = (Path, Value);

/// More rows than this are removed as a range, unseen.
const REMOVED_SINGLY: usize = 256;

/// Applies what was prepared and says what changed, in the form in which it is stored.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    config: &Config,
    indexes: &Indexes,
    now_ms: u64,
    targets: Vec<Target>,
) -> Result<Vec<Changed>, TreeError> {
    let mut changed = Vec::with_capacity(targets.len());
    for Target { path, value, rows } in targets {
        let (value, rows) = match rows {
            Some(rows) => (value, rows),
            None => {
                let value = resolved(stage, config, now_ms, &path, value)?;
                let rows = prepare::rows(&path, &value);
                (value, rows)
            }
        };
        let before = index::entries_touched(indexes, &View::new(&stage.rows(), config), &path)?;
        replace(stage, &path, rows)?;
        let after = index::entries_touched(indexes, &View::new(&stage.rows(), config), &path)?;
        index::replace(stage, before, after)?;
        if stage.set_bytes > config.max_write_bytes {
            return Err(TreeError::TooLarge {
                what: "a write in bytes",
                len: stage.set_bytes,
                max: config.max_write_bytes,
            });
        }
        changed.push((path, value));
    }
    Ok(changed)
}

/// The form in which a document with server values is stored now.
fn resolved(
    stage: &Stage<'_>,
    config: &Config,
    now_ms: u64,
    path: &Path,
    value: Value,
) -> Result<Value, TreeError> {
    let view = View::new(stage.base, config);
    let current = |path: &Path| {
        Ok(match view.get_shallow(path, 0)? {
            Value::Number(number) => Some(number),
            _ => None,
        })
    };
    canonical(value, path, &prepare::rules(config, now_ms, &current))
}

/// How a document that is there differs from the one that comes instead.
#[derive(Default)]
struct Difference {
    /// The leaf above the place, if there is one.
    above: Option<Vec<u8>>,
    /// Keys that are there and will not be.
    removed: Vec<Vec<u8>>,
    /// There are more of those: nothing else here counts.
    is_wide: bool,
    /// Which of the rows that come are there already.
    same: Vec<usize>,
}

/// Replaces what is at `path` by these rows.
fn replace(stage: &mut Stage<'_>, path: &Path, mut rows: Vec<Row>) -> Result<(), TreeError> {
    let node = leaf_key(path);
    let end = end_of(&node);
    let difference = compare(stage, &node, &end, &rows)?;
    if difference.is_wide {
        stage.delete_range(&node, &end)?;
    } else {
        for key in &difference.removed {
            stage.delete(key)?;
        }
        for at in difference.same {
            let (key, value) = &mut rows[at];
            stage.set_bytes += (key.len() + value.len()) as u64;
            key.clear();
        }
    }
    if let Some(above) = difference.above {
        stage.delete(&above)?;
    }
    // Those whose key was taken are there already.
    stage.put_all(rows.into_iter().filter(|(key, _)| !key.is_empty()))
}

/// Looks once, downwards, at what is at a place and at the row before it.
fn compare(stage: &Stage<'_>, node: &[u8], end: &[u8], rows: &[Row]) -> Result<Difference, TreeError> {
    let mut difference = Difference::default();
    let mut left = rows.len();
    let most = if rows.is_empty() { 1 } else { REMOVED_SINGLY };
    let _stopped = long::scan(&stage.rows(), &[LEAVES], end, Way::Down, &mut |key, value| {
        if key < node {
            // There is nothing between a leaf and what would be below it, so only the row before can be one.
            if !rows.is_empty() && key::is_within(node, key) {
                difference.above = Some(key.to_vec());
            }
            return Ok(ControlFlow::Break(()));
        }
        while left > 0 && rows[left - 1].0.as_slice() > key {
            left -= 1;
        }
        match left.checked_sub(1).map(|at| (at, &rows[at])) {
            Some((at, (same, new))) if same == key => {
                if new == value {
                    difference.same.push(at);
                }
                left = at;
            }
            _ if difference.removed.len() < most => difference.removed.push(key.to_vec()),
            _ => {
                difference.is_wide = true;
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(difference)
}
