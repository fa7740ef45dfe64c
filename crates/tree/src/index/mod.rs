//! Declared indexes: for each item of the places that a pattern names, one entry that sorts by the item's value.
//!
//! An entry's key is the index, the place, the value's sort key, the item's name. Entries change with the leaves, in the
//! same commit. Invariant: there is exactly one entry for each item that exists, missing values included. Called by `edit`
//! for each write, by queries, and by whatever declares: `build` brings what is on the disk to it.

mod build;

pub(crate) use build::{bring_up, clear, read_built};

use crate::{
    MAX_PATH_DEPTH, NameRules, OrderBy, Path, TreeError, View,
    path::key,
    query::sort,
    store::{ENTRIES, Rows, Stage},
    view::leaf_key,
};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, ops::ControlFlow};

/// One declared index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The places whose children are indexed, as a path; `*` stands for any one name. For example `/users/*/posts`.
    pub at: String,
    /// By what: [`OrderBy::Value`] or [`OrderBy::Child`]. The order by key needs no index.
    pub on: OrderBy,
}

/// An index in the form in which it is matched.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Eight bytes of the SHA-256 of what it is of.
    pub(crate) id: [u8; 8],
    /// The bytes of each name; `None` = any.
    names: Vec<Option<Vec<u8>>>,
    on: OrderBy,
}

/// All indexes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Indexes(pub(crate) Vec<Prepared>);

impl Indexes {
    pub(crate) fn prepare(declared: &[Index]) -> Result<Self, TreeError> {
        let mut seen = HashSet::new();
        let prepared = declared.iter().map(|one| {
            let index = Prepared::new(one)?;
            if seen.insert(index.id) {
                return Ok(index);
            }
            Err(TreeError::Config {
                field: "indexes",
                got: format!("{} on {} twice", one.at, one.on),
                bound: "different indexes".to_owned(),
            })
        });
        prepared.collect::<Result<_, _>>().map(Self)
    }

    /// The index that serves a query of these rows, which have all its entries.
    pub(crate) fn find(
        &self,
        rows: &dyn Rows,
        path: &Path,
        on: &OrderBy,
    ) -> Result<Option<&Prepared>, TreeError> {
        let declared = self
            .0
            .iter()
            .find(|index| index.on == *on && index.names.len() == path.depth() && index.matches(path));
        match declared {
            // Declared since, or not any more: these rows may be of another moment.
            Some(index) if !read_built(rows)?.contains(&index.id) => Ok(None),
            found => Ok(found),
        }
    }

    /// Those of both that `ids` names.
    pub(crate) fn union(&self, other: &Self, ids: &[[u8; 8]]) -> Self {
        let mut union = self.0.clone();
        union.extend(
            other
                .0
                .iter()
                .filter(|new| self.0.iter().all(|old| old.id != new.id))
                .cloned(),
        );
        union.retain(|index| ids.contains(&index.id));
        Self(union)
    }
}

impl Prepared {
    fn new(declared: &Index) -> Result<Self, TreeError> {
        let refuse = |fault: String| TreeError::Config {
            field: "indexes",
            got: format!("{} on {}", declared.at, declared.on),
            bound: fault,
        };
        if declared.on == OrderBy::Key {
            return Err(refuse(
                "on a value or a child: the order by key needs no index".into(),
            ));
        }
        let mut names = Vec::new();
        for name in declared.at.split('/').filter(|name| !name.is_empty()) {
            NameRules::Firebase
                .check(name)
                .map_err(|error| refuse(error.to_string()))?;
            let mut bytes = Vec::new();
            key::push(&mut bytes, name);
            names.push((name != "*").then_some(bytes));
        }
        if names.len() >= MAX_PATH_DEPTH {
            return Err(refuse(format!(
                "of places less than {MAX_PATH_DEPTH} levels deep"
            )));
        }
        let text = format!("{}\0{}", declared.at.trim_matches('/'), declared.on);
        let mut id = [0; 8];
        id.copy_from_slice(&Sha256::digest(text.as_bytes())[..8]);
        Ok(Self {
            id,
            names,
            on: declared.on.clone(),
        })
    }

    /// Whether the names of `path` are those of the pattern, as far as both go.
    fn matches(&self, path: &Path) -> bool {
        self.names
            .iter()
            .zip(path.pieces())
            .all(|(name, piece)| name.as_ref().is_none_or(|name| name == piece))
    }

    /// What the keys of the entries of one place begin with.
    pub(crate) fn head(&self, place: &Path) -> Vec<u8> {
        [&[ENTRIES], self.id.as_slice(), place.bytes(), &[END_OF_PLACE]].concat()
    }

    /// Visits the entries of all items at and below `path`, which matches.
    pub(crate) fn entries(
        &self,
        view: &View<'_>,
        path: &Path,
        visit: &mut dyn FnMut(Vec<u8>) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        let depth = path.depth();
        if depth > self.names.len() {
            let place_len = path.pieces().take(self.names.len()).map(<[u8]>::len).sum();
            let item_len = path.pieces().take(self.names.len() + 1).map(<[u8]>::len).sum();
            let place = Path::from_bytes(path.bytes()[..place_len].to_vec());
            let item = Path::from_bytes(path.bytes()[..item_len].to_vec());
            if !view.exists(&item)? {
                return Ok(());
            }
            let sort = sort::key_of(view, &item, &self.on)?;
            return visit(
                [
                    &self.head(&place),
                    sort.as_slice(),
                    &path.bytes()[place_len..item_len],
                ]
                .concat(),
            );
        }
        if let Some(Some(name)) = self.names.get(depth) {
            let below = Path::from_bytes([path.bytes(), name].concat());
            return self.entries(view, &below, visit);
        }
        view.children(&leaf_key(path), &mut |name| {
            let below = Path::from_bytes([path.bytes(), name].concat());
            self.entries(view, &below, visit)?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// Ends the place within an entry's key. No name begins with it.
const END_OF_PLACE: u8 = 1;

/// The keys of all entries of what is at, above or below `target`.
pub(crate) fn entries_touched(
    indexes: &Indexes,
    view: &View<'_>,
    target: &Path,
) -> Result<Vec<Vec<u8>>, TreeError> {
    let mut keys = Vec::new();
    for index in &indexes.0 {
        if index.matches(target) {
            index.entries(view, target, &mut |key| {
                keys.push(key);
                Ok(())
            })?;
        }
    }
    Ok(keys)
}

/// Replaces the entries `before` by those `after` a change.
pub(crate) fn replace(
    stage: &mut Stage<'_>,
    mut before: Vec<Vec<u8>>,
    mut after: Vec<Vec<u8>>,
) -> Result<(), TreeError> {
    before.sort_unstable();
    after.sort_unstable();
    for key in &before {
        if after.binary_search(key).is_err() {
            stage.delete(key)?;
        }
    }
    for key in after {
        if before.binary_search(&key).is_err() {
            stage.put(key, vec![0])?;
        }
    }
    Ok(())
}
