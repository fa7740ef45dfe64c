//! What one write does to the rows: checks, server values, leaves, index entries. Nothing here knows about commits.
//!
//! Invariant: a leaf has nothing below it and no leaf above it. Called by the handler, on a stage of its own per message.

use crate::{
    Action, Config, Path, TreeError, View,
    index::{self, Indexes},
    path::key,
    store::{LEAVES, Stage, long::Way},
    value::{
        canonical::{Rules, canonical},
        scalar,
    },
    view::{end_of, leaf_key},
};
use serde_json::Value;

/// One place and what is there afterwards.
pub(crate) type Changed = (Path, Value);

/// Applies `action` at `path` and says what changed, in the form in which it is stored.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    config: &Config,
    indexes: &Indexes,
    now_ms: u64,
    path: &Path,
    action: Action,
) -> Result<Vec<Changed>, TreeError> {
    let targets = match action {
        Action::Set(value) => vec![(path.clone(), value)],
        Action::Update(changes) => targets(config, path, changes)?,
    };
    let mut changed = Vec::with_capacity(targets.len());
    for (target, value) in targets {
        check_path(config, &target)?;
        let value = {
            let view = View::new(stage.base, config);
            let rules = Rules {
                names: config.names,
                max_depth: config.max_depth,
                max_text_bytes: config.max_text_bytes,
                now_ms,
                current: &|path| {
                    Ok(match view.get_shallow(path, 0)? {
                        Value::Number(number) => Some(number),
                        _ => None,
                    })
                },
            };
            canonical(value, &target, &rules)?
        };
        let before = index::entries_touched(indexes, &View::new(&stage.rows(), config), &target)?;
        set(stage, &target, &value)?;
        let after = index::entries_touched(indexes, &View::new(&stage.rows(), config), &target)?;
        index::replace(stage, before, after)?;
        if stage.set_bytes > config.max_write_bytes {
            return Err(TreeError::TooLarge {
                what: "a write in bytes",
                len: stage.set_bytes,
                max: config.max_write_bytes,
            });
        }
        changed.push((target, value));
    }
    Ok(changed)
}

/// The places of an update, none of them within another.
fn targets(config: &Config, path: &Path, changes: Vec<(Path, Value)>) -> Result<Vec<Changed>, TreeError> {
    if changes.len() > config.max_update_paths {
        return Err(TreeError::TooLarge {
            what: "an update in paths",
            len: changes.len() as u64,
            max: config.max_update_paths as u64,
        });
    }
    let mut targets = Vec::with_capacity(changes.len());
    for (relative, value) in changes {
        targets.push((path.join(&relative)?, value));
    }
    targets.sort_by(|(a, _), (b, _)| a.cmp(b));
    for pair in targets.windows(2) {
        if let [(above, _), (below, _)] = pair
            && below.is_within(above)
        {
            return Err(TreeError::Overlap {
                path: above.clone(),
                below: below.clone(),
            });
        }
    }
    Ok(targets)
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

/// Replaces what is at `path`.
fn set(stage: &mut Stage<'_>, path: &Path, value: &Value) -> Result<(), TreeError> {
    let node = leaf_key(path);
    let end = end_of(&node);
    if !value.is_null()
        && let Some(above) = stage.first(&[LEAVES], &node, Way::Down)?
        && key::is_within(&node, &above)
    {
        // There is nothing between a leaf and what would be below it, so only the row before can be one.
        stage.delete(&above)?;
    }
    if let Some(there) = stage.first(&node, &end, Way::Up)? {
        if there == node && value.is_null() {
            stage.delete(&node)?;
        } else if there != node {
            stage.delete_range(&node, &end)?;
        } else if value.is_object() || value.is_array() {
            stage.delete(&node)?;
        }
    }
    let mut key = node;
    put(stage, &mut key, value)
}

fn put(stage: &mut Stage<'_>, node: &mut Vec<u8>, value: &Value) -> Result<(), TreeError> {
    let len = node.len();
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                key::push(node, &index.to_string());
                put(stage, node, item)?;
                node.truncate(len);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                key::push(node, name);
                put(stage, node, item)?;
                node.truncate(len);
            }
        }
        leaf => {
            if let Some(bytes) = scalar::encode(leaf) {
                stage.put(node, bytes)?;
            }
        }
    }
    Ok(())
}
