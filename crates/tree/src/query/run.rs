//! Runs a query over a view: by key as a range of names, by an index as a range of entries, else by looking at each child.
//!
//! Every way ends in the same exact test of the bounds and the same order, so an index changes the cost and never the answer.
//! Called by readers, each within one snapshot.

use super::{Answer, Bound, Limit, OrderBy, Query, sort};
use crate::{
    Path, TreeError, View,
    index::{Indexes, Prepared},
    path::{Pieces, key},
    store::long::{self, Way},
    view::{Budget, end_of, leaf_key},
};
use serde_json::Value;
use std::{cmp::Ordering, ops::ControlFlow};

/// A child that may be answered: what it sorts by, and its name.
struct Candidate {
    sort: Value,
    /// In the bytes of a path, which sort as names do.
    name: Vec<u8>,
}

/// The children of `path` that `query` asks for.
pub(crate) fn run(
    view: &View<'_>,
    indexes: &Indexes,
    path: &Path,
    query: &Query,
) -> Result<Answer, TreeError> {
    query.validate()?;
    let mut unindexed_rows = None;
    let mut budget = Budget::new(view.config);
    let chosen = if query.order_by == OrderBy::Key {
        by_key(view, path, query, &mut budget)?
    } else if let Some(index) = indexes.find(view.rows, path, &query.order_by)? {
        by_index(view, index, path, query, &mut budget)?
    } else {
        let (chosen, looked_at) = by_scan(view, path, query)?;
        unindexed_rows = Some(looked_at);
        chosen
    };
    let mut rows = Vec::with_capacity(chosen.len());
    for name in chosen {
        let child = Path::from_bytes([path.bytes(), &name].concat());
        let value = view.get_within(&child, &mut budget)?;
        let name = key::name(&name).ok_or_else(|| TreeError::corrupted("LMDB", "a name is damaged"))?;
        rows.push((name.into_owned(), value));
    }
    Ok(Answer { rows, unindexed_rows })
}

/// Which way to look, so that a limit ends the look, and how many to find.
fn way_and_limit(query: &Query) -> (Way, usize) {
    match query.limit {
        Some(Limit::First(limit)) => (Way::Up, limit),
        Some(Limit::Last(limit)) => (Way::Down, limit),
        None => (Way::Up, usize::MAX),
    }
}

fn in_order(mut chosen: Vec<Vec<u8>>, way: Way) -> Vec<Vec<u8>> {
    if way == Way::Down {
        chosen.reverse();
    }
    chosen
}

fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push(&mut bytes, name);
    bytes
}

fn by_key(
    view: &View<'_>,
    path: &Path,
    query: &Query,
    budget: &mut Budget,
) -> Result<Vec<Vec<u8>>, TreeError> {
    let node = leaf_key(path);
    let at = |bound: &Bound, after: bool| {
        let name = [
            node.as_slice(),
            &name_bytes(bound.value.as_str().unwrap_or_default()),
        ]
        .concat();
        if after { end_of(&name) } else { name }
    };
    let low = query
        .start
        .as_ref()
        .map_or_else(|| node.clone(), |bound| at(bound, !bound.inclusive));
    let high = query
        .end
        .as_ref()
        .map_or_else(|| end_of(&node), |bound| at(bound, bound.inclusive));
    let (way, limit) = way_and_limit(query);
    let mut chosen = Vec::new();
    view.children_between(&node, &low, &high, way, &mut |name| {
        budget.spend(name, &[])?;
        chosen.push(name.to_vec());
        Ok(if chosen.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(in_order(chosen, way))
}

/// Where a candidate lies: before what is asked for, in it, or behind.
fn place(query: &Query, sort: &Value, name: &[u8]) -> Ordering {
    let against = |bound: &Bound| {
        sort::compare(sort, &bound.value).then_with(|| match &bound.name {
            Some(bound_name) => name.cmp(&name_bytes(bound_name)),
            None => Ordering::Equal,
        })
    };
    if let Some(bound) = &query.start {
        match against(bound) {
            Ordering::Less => return Ordering::Less,
            Ordering::Equal if !bound.inclusive => return Ordering::Less,
            _ => {}
        }
    }
    if let Some(bound) = &query.end {
        match against(bound) {
            Ordering::Greater => return Ordering::Greater,
            Ordering::Equal if !bound.inclusive => return Ordering::Greater,
            _ => {}
        }
    }
    Ordering::Equal
}

fn by_index(
    view: &View<'_>,
    index: &Prepared,
    path: &Path,
    query: &Query,
    budget: &mut Budget,
) -> Result<Vec<Vec<u8>>, TreeError> {
    let head = index.head(path);
    // Whole values: names and long texts are told apart below.
    let low = match &query.start {
        Some(bound) => [head.as_slice(), &sort::key(&bound.value)].concat(),
        None => head.clone(),
    };
    let high = match &query.end {
        Some(bound) => [head.as_slice(), &sort::key(&bound.value), &[0xff]].concat(),
        None => [head.as_slice(), &[0xff]].concat(),
    };
    let (way, limit) = way_and_limit(query);
    let mut chosen = Vec::new();
    // The candidates whose sort keys are the same as the last one's.
    let mut same: (Vec<u8>, Vec<Candidate>) = (Vec::new(), Vec::new());
    let _stopped = long::scan(view.rows, &low, &high, way, &mut |entry, _| {
        let (sort_key, name) = split_entry(&entry[head.len()..])?;
        if same.0 != sort_key {
            settle(query, way, &mut same.1, &mut chosen);
            same.0 = sort_key.to_vec();
            if chosen.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
        }
        let item = Path::from_bytes([path.bytes(), name].concat());
        let sort = sort::value_of(view, &item, &query.order_by)?;
        budget.spend(name, &[])?;
        same.1.push(Candidate {
            sort,
            name: name.to_vec(),
        });
        if !is_cut(sort_key) {
            // Nothing of the same key can come before this one.
            settle(query, way, &mut same.1, &mut chosen);
            if chosen.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    settle(query, way, &mut same.1, &mut chosen);
    chosen.truncate(limit);
    Ok(in_order(chosen, way))
}

/// Moves the candidates that are asked for to the chosen ones, in order.
fn settle(query: &Query, way: Way, same: &mut Vec<Candidate>, chosen: &mut Vec<Vec<u8>>) {
    same.sort_by(by_sort);
    if way == Way::Down {
        same.reverse();
    }
    let asked = same
        .drain(..)
        .filter(|one| place(query, &one.sort, &one.name).is_eq());
    chosen.extend(asked.map(|one| one.name));
}

fn by_sort(a: &Candidate, b: &Candidate) -> Ordering {
    sort::compare(&a.sort, &b.sort).then_with(|| a.name.cmp(&b.name))
}

/// An entry's sort key and name. The name is the last of a key that ends with whole names.
fn split_entry(rest: &[u8]) -> Result<(&[u8], &[u8]), TreeError> {
    sort::len(rest)
        .and_then(|len| rest.split_at_checked(len))
        .filter(|(_, name)| Pieces(name).next().is_some_and(|piece| piece.len() == name.len()))
        .ok_or_else(|| TreeError::corrupted("LMDB", "an entry of an index is damaged"))
}

/// Whether two different values may have this sort key.
fn is_cut(sort_key: &[u8]) -> bool {
    sort_key.len() > sort::TEXT_CUT
}

fn by_scan(view: &View<'_>, path: &Path, query: &Query) -> Result<(Vec<Vec<u8>>, u64), TreeError> {
    let mut looked_at = 0;
    let mut found = Vec::new();
    view.children(&leaf_key(path), &mut |name| {
        looked_at += 1;
        if looked_at > view.config.max_unindexed_rows {
            return Err(TreeError::Unindexed {
                path: path.clone(),
                index_on: query.order_by.to_string(),
                scanned_rows: looked_at - 1,
            });
        }
        let item = Path::from_bytes([path.bytes(), name].concat());
        let sort = sort::value_of(view, &item, &query.order_by)?;
        if place(query, &sort, name).is_eq() {
            found.push(Candidate {
                sort,
                name: name.to_vec(),
            });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.sort_by(by_sort);
    let skip = match query.limit {
        Some(Limit::Last(limit)) => found.len().saturating_sub(limit),
        _ => 0,
    };
    let (_, limit) = way_and_limit(query);
    let chosen = found
        .into_iter()
        .skip(skip)
        .take(limit)
        .map(|one| one.name)
        .collect();
    Ok((chosen, looked_at))
}
