//! A page of a node's children, for people who look around: names in order, leaves with their values, containers without
//! what is in them. Costs two look-ups a child, however much is below; memory is bounded by the page and `max_read_bytes`.
//!
//! Called by readers; explorers ask page by page.

use crate::{
    Path, TreeError, View,
    path::key,
    store::long::{self, Way},
    value::scalar,
    view::{Budget, end_of, leaf_key},
};
use quintet_core::Seq;
use serde_json::Value;
use std::ops::ControlFlow;

/// What stands at a place, one level deep.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The last write that it shows.
    pub seq: Seq,
    /// The value of a leaf. With no leaf and no children there is nothing, or the page is behind the last child.
    pub leaf: Option<Value>,
    /// The children of this page, in the tree's order: names that are small integers by value, then the others by bytes.
    pub children: Vec<Child>,
    /// Whether more children follow.
    pub has_more: bool,
}

/// A child in a [`Listing`].
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Its value; `None` for a container.
    pub leaf: Option<Value>,
}

impl View<'_> {
    /// At most `limit` children of `path`, those behind the name `after` if one is given, which need not be there itself.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] when the page's leaves exceed `max_read_bytes`, `Corrupted`, what LMDB answers.
    pub fn listing(&self, path: &Path, after: Option<&str>, limit: usize) -> Result<Listing, TreeError> {
        let node = leaf_key(path);
        let mut budget = Budget::new(self.config);
        let mut listing = Listing {
            seq: self.seq()?,
            leaf: None,
            children: Vec::new(),
            has_more: false,
        };
        if let Some(bytes) = long::get(self.rows, &node)? {
            budget.spend(&node, &bytes)?;
            listing.leaf = Some(scalar::decode(&bytes)?);
            return Ok(listing);
        }
        let low = match after {
            None | Some("") => node.clone(),
            Some(name) => {
                let mut child = node.clone();
                key::push(&mut child, name);
                end_of(&child)
            }
        };
        self.children_between(&node, &low, &end_of(&node), Way::Up, &mut |name| {
            if listing.children.len() == limit {
                listing.has_more = true;
                return Ok(ControlFlow::Break(()));
            }
            let leaf = match long::get(self.rows, &[&node[..], name].concat())? {
                Some(bytes) => {
                    budget.spend(name, &bytes)?;
                    Some(scalar::decode(&bytes)?)
                }
                None => None,
            };
            if let Some(name) = key::name(name) {
                let name = name.into_owned();
                listing.children.push(Child { name, leaf });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(listing)
    }
}
