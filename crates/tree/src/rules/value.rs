//! What an expression works on while it is evaluated.
//!
//! Scalars borrow from the token, the path and the program where they can. A [`Snapshot`] is a state of the tree and a path
//! in it: nothing is read until a method asks for it.

use serde_json::Value as Json;
use std::borrow::Cow;

/// Which state of the tree a snapshot looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As committed: `root` and `data`.
    Old,
    /// As it would be: `newData`.
    New,
}

/// A place in one state of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot<'a> {
    pub(super) state: State,
    pub(super) path: Vec<Cow<'a, str>>,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    String(Cow<'a, str>),
    /// A claim of the token that is an object or a list.
    Json(&'a Json),
    /// What `val()` gives of a place with children: not null, and equal to another such if all below is.
    Inner(Snapshot<'a>),
    Snapshot(Snapshot<'a>),
}

impl<'a> Value<'a> {
    /// A claim as a value.
    pub(super) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(value) => Self::Number(value.as_f64().unwrap_or(f64::NAN)),
            Json::String(value) => Self::String(Cow::Borrowed(value)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    /// In words, for the reason why a rule failed.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Json(_) => "a claim with parts",
            Self::Inner(_) => "a value with children",
            Self::Snapshot(_) => "a snapshot",
        }
    }
}

/// The segments of a path argument: `a/b` names two, empty ones do not count.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// A number as the language writes it into a string: without a point when it is whole.
pub(super) fn number_text(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        number.to_string()
    }
}
