//! The tree as rules see it: what is at a path, and which children it has.
//!
//! Implemented by the store's snapshots and by the writer's transaction; [`JsonData`] is the same over a JSON value, for
//! rule tables and tests. Called only while a decision is made, on the thread that makes it.

use quintet_core::Result;
use serde_json::Value as Json;
use std::borrow::Cow;

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing: reads as null.
    Nothing,
    /// A value with children.
    Inner,
    /// A boolean.
    Bool(bool),
    /// A number; integers beyond 2^53 lose their last digits, as they do in the language.
    Number(f64),
    /// A string.
    String(String),
}

/// One state of the tree.
pub trait Data {
    /// What is at `path`; no segment is empty.
    ///
    /// # Errors
    /// When the store cannot be read; the decision then fails as a whole.
    fn look(&self, path: &[Cow<'_, str>]) -> Result<Found>;

    /// The names of the children at `path`, in any order; none for a leaf or nothing.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    fn children(&self, path: &[Cow<'_, str>]) -> Result<Vec<String>>;
}

/// A JSON value as a state of the tree: nulls and empty containers are not there, a list's children are its indices.
#[derive(Clone, Copy, Debug)]
pub struct JsonData<'a>(pub &'a Json);

impl<'a> JsonData<'a> {
    fn find(self, path: &[Cow<'_, str>]) -> Option<&'a Json> {
        let mut at = self.0;
        for segment in path {
            at = match at {
                Json::Object(fields) => fields.get(segment.as_ref())?,
                Json::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

/// Whether anything is left of `value` once nulls and empty containers are gone.
fn is_there(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Object(fields) => fields.values().any(is_there),
        Json::Array(items) => items.iter().any(is_there),
        _ => true,
    }
}

impl Data for JsonData<'_> {
    fn look(&self, path: &[Cow<'_, str>]) -> Result<Found> {
        Ok(match self.find(path) {
            None | Some(Json::Null) => Found::Nothing,
            Some(Json::Bool(value)) => Found::Bool(*value),
            Some(Json::Number(value)) => Found::Number(value.as_f64().unwrap_or(f64::NAN)),
            Some(Json::String(value)) => Found::String(value.clone()),
            Some(inner) if is_there(inner) => Found::Inner,
            Some(_) => Found::Nothing,
        })
    }

    fn children(&self, path: &[Cow<'_, str>]) -> Result<Vec<String>> {
        Ok(match self.find(path) {
            Some(Json::Object(fields)) => fields
                .iter()
                .filter(|(_, value)| is_there(value))
                .map(|(name, _)| name.clone())
                .collect(),
            Some(Json::Array(items)) => items
                .iter()
                .enumerate()
                .filter(|(_, value)| is_there(value))
                .map(|(index, _)| index.to_string())
                .collect(),
            _ => Vec::new(),
        })
    }
}
