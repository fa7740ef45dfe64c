//! What the compiler knows of a value before there is one, and the table of methods.
//!
//! What comes from the data or the token may be anything; all else has one certain type.

use super::program::Method;

/// What is known of a value before it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Any,
    Null,
    Bool,
    Number,
    String,
    Snapshot,
}

impl Type {
    /// For an error: "this is …".
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Snapshot => "a snapshot (call .val() on it)",
        }
    }

    /// Whether a value of this type can turn out to be a `wanted`.
    pub(super) fn may_be(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any
    }
}

/// A method by its name: on what, with how many strings, and what it gives.
pub(super) fn method(name: &str) -> Option<(Method, Type, usize, Type)> {
    use Type::{Any, Bool, Null, Snapshot, String};
    Some(match name {
        "child" => (Method::Child, Snapshot, 1, Snapshot),
        "parent" => (Method::Parent, Snapshot, 0, Snapshot),
        "hasChild" => (Method::HasChild, Snapshot, 1, Bool),
        "exists" => (Method::Exists, Snapshot, 0, Bool),
        "val" => (Method::Val, Snapshot, 0, Any),
        "getPriority" => (Method::Priority, Snapshot, 0, Null),
        "isString" => (Method::IsString, Snapshot, 0, Bool),
        "isNumber" => (Method::IsNumber, Snapshot, 0, Bool),
        "isBoolean" => (Method::IsBoolean, Snapshot, 0, Bool),
        "contains" => (Method::Contains, String, 1, Bool),
        "beginsWith" => (Method::BeginsWith, String, 1, Bool),
        "endsWith" => (Method::EndsWith, String, 1, Bool),
        "replace" => (Method::Replace, String, 2, String),
        "toLowerCase" => (Method::ToLowerCase, String, 0, String),
        "toUpperCase" => (Method::ToUpperCase, String, 0, String),
        _ => return None,
    })
}

/// Why `name` is no method, with what to write instead where that is known.
pub(super) fn unknown_method(name: &str) -> String {
    let instead = match name {
        "length" => " write .length without ()",
        "startsWith" => " write .beginsWith()",
        "includes" | "indexOf" => " write .contains()",
        "match" | "test" => " write .matches(/…/)",
        "value" => " write .val()",
        "exist" => " write .exists()",
        _ => {
            return format!(
                ".{name}() is not known; there are child parent hasChild hasChildren exists val isString isNumber \
                 isBoolean, and for strings contains beginsWith endsWith replace toLowerCase toUpperCase matches"
            );
        }
    };
    format!(".{name}() is not known:{instead}")
}
