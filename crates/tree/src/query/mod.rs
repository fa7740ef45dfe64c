//! [`Query`]: children in an order, between bounds, at most so many. What it means is here; `run` finds the rows, `sort` is
//! the order.

pub(crate) mod run;
pub(crate) mod sort;

use crate::{Path, TreeError};
use serde_json::{Map, Value};
use std::fmt;

/// By what children are ordered. Equal ones are ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrderBy {
    /// By name: integers by number, then texts by code point. Needs no index.
    #[default]
    Key,
    /// By their own value: nothing, false, true, numbers, texts by code point, containers.
    Value,
    /// By the value at a path below each.
    Child(Path),
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("$key"),
            Self::Value => f.write_str("$value"),
            Self::Child(path) => write!(f, "{}", path.to_string().trim_start_matches('/')),
        }
    }
}

/// One end of what a query answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The value; for [`OrderBy::Key`] the name, as text.
    pub value: Value,
    /// Among those with this very value, the name to begin or end at.
    pub name: Option<String>,
    /// Whether what is equal to the bound is answered.
    pub inclusive: bool,
}

/// How many are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The first so many.
    First(usize),
    /// The last so many.
    Last(usize),
}

/// Which children of a place, in which order.
///
/// ```
/// use quintet_tree::{Bound, Limit, OrderBy, Query};
/// let query = Query { order_by: OrderBy::Value, limit: Some(Limit::Last(3)), ..Query::default() };
/// assert!(query.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The order.
    pub order_by: OrderBy,
    /// Where to begin.
    pub start: Option<Bound>,
    /// Where to end.
    pub end: Option<Bound>,
    /// At most how many.
    pub limit: Option<Limit>,
}

impl Query {
    /// Children with exactly this value.
    #[must_use]
    pub fn equal_to(order_by: OrderBy, value: Value, name: Option<String>) -> Self {
        let bound = Bound {
            value,
            name,
            inclusive: true,
        };
        Self {
            order_by,
            start: Some(bound.clone()),
            end: Some(bound),
            limit: None,
        }
    }

    /// Checks that the query makes sense.
    ///
    /// # Errors
    /// [`TreeError::Query`].
    pub fn validate(&self) -> Result<(), TreeError> {
        let refuse = |fault: &str| Err(TreeError::Query { fault: fault.into() });
        if matches!(self.limit, Some(Limit::First(0) | Limit::Last(0))) {
            return refuse("has a limit of 0");
        }
        for bound in self.start.iter().chain(&self.end) {
            if self.order_by == OrderBy::Key {
                if !bound.value.is_string() {
                    return refuse("is ordered by key, so its bounds must be text");
                }
                if bound.name.is_some() {
                    return refuse("is ordered by key, so its bounds have no other name");
                }
                if bound.value.as_str() == Some("") {
                    return refuse("has an empty key for a bound");
                }
            }
            if bound.name.as_deref() == Some("") {
                return refuse("has an empty name in a bound");
            }
            if bound.value.is_object() || bound.value.is_array() {
                return refuse("has a container for a bound");
            }
        }
        Ok(())
    }
}

/// What a query answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The children, in the query's order.
    pub rows: Vec<(String, Value)>,
    /// How many children were looked at without an index, if there was none to use; a warning names what to declare.
    pub unindexed_rows: Option<u64>,
}

impl Answer {
    /// The children as one document, which has no order.
    #[must_use]
    pub fn into_value(self) -> Value {
        crate::value::canonical::collapse(self.rows.into_iter().collect::<Map<_, _>>())
    }
}
