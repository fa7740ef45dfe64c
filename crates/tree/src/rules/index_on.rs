//! `.indexOn`: which indexes a rules document declares, in the form in which the tree's settings take them.
//!
//! What the tree would refuse to open with is refused when the document is read: a document that is in force must never
//! keep the next start from happening. Called by the document's reader, by queries that warn, and by whoever declares.

use super::{
    document::{Path, Reader, Rules},
    error::RulesError,
};
use crate::{Index, OrderBy, Path as TreePath, config::MAX_INDEXES, index::Indexes};
use jsonc_parser::ast::Value;

impl Rules {
    /// Every index that an `.indexOn` declares, as the tree's settings take them: a `$name` becomes `*`.
    #[must_use]
    pub fn indexes(&self) -> Vec<Index> {
        let mut found = Vec::new();
        let mut open = vec![(&self.root, String::new())];
        while let Some((node, at)) = open.pop() {
            for on in &node.index_on {
                found.push(index(&at, on));
            }
            for (name, child) in &node.children {
                open.push((child, format!("{at}/{name}")));
            }
            if let Some(child) = &node.captured {
                open.push((child, format!("{at}/*")));
            }
        }
        found.sort_by(|a, b| (&a.at, a.on.to_string()).cmp(&(&b.at, b.on.to_string())));
        // A list may name a child twice, and a path be named `*`.
        found.dedup();
        found
    }

    /// What `.indexOn` declares at exactly `path`; `.value` stands for the values themselves. Empty = nothing.
    #[must_use]
    pub fn index_on(&self, path: &[&str]) -> &[String] {
        let mut node = &self.root;
        for segment in path {
            match node.below(segment) {
                Some((next, _)) => node = next,
                None => return &[],
            }
        }
        &node.index_on
    }
}

impl Reader<'_> {
    pub(super) fn index_on(&self, value: &Value<'_>, path: &mut Path) -> Result<Vec<String>, RulesError> {
        let wrong = |value: &Value<'_>| {
            self.at(
                value,
                ".indexOn is the name of a child or a list of such: [\"score\", \".value\"]",
            )
        };
        let one = |value: &Value<'_>| match value {
            Value::StringLit(name) if name.value == ".value" || is_child(&name.value) => {
                Ok(name.value.to_string())
            }
            other => Err(wrong(other)),
        };
        let children: Vec<String> = match value {
            Value::Array(items) => items.elements.iter().map(one).collect::<Result<_, _>>()?,
            other => vec![one(other)?],
        };
        path.indexes += children.len();
        if path.indexes > MAX_INDEXES {
            return Err(self.at(
                value,
                format!("there are more than the {MAX_INDEXES} indexes allowed"),
            ));
        }
        // What the tree would refuse at its start is refused here.
        for child in &children {
            Indexes::prepare(&[index(&path.pattern, child)])
                .map_err(|error| self.at(value, error.to_string()))?;
        }
        Ok(children)
    }
}

/// What one name of an `.indexOn` at `pattern` declares.
fn index(pattern: &str, child: &str) -> Index {
    let on = match child {
        ".value" => OrderBy::Value,
        // Checked when the document was read.
        child => OrderBy::Child(child.parse().unwrap_or_default()),
    };
    let at = pattern.to_owned();
    Index { at, on }
}

/// Whether an `.indexOn` names a child.
fn is_child(name: &str) -> bool {
    name.parse::<TreePath>().is_ok_and(|path| !path.is_root())
}
