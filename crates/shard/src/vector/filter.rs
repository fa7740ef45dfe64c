//! Conditions on payloads: equality, membership and ranges of fields, joined by and, or and not.
//!
//! A field is a path of object keys joined by dots. A missing field equals nothing and lies in no range. Numbers are equal
//! by value (1 equals 1.0); ranges hold for numbers and for texts, never across the two.

use crate::vector::{Payload, VectorError};
use serde_json::Value;
use std::cmp::Ordering;

/// How deep conditions may nest, and how many there may be: what one search may cost per point.
const MAX_DEPTH: usize = 16;
const MAX_CONDITIONS: usize = 256;

/// A condition on a point's payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// The field has this value.
    Equal(String, Value),
    /// The field has one of these values.
    In(String, Vec<Value>),
    /// The field lies within bounds.
    Range(String, Bounds),
    /// All hold. Empty = true.
    And(Vec<Filter>),
    /// At least one holds. Empty = false.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

/// The bounds of a range; at least one is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Above this.
    pub gt: Option<Value>,
    /// At or above this.
    pub gte: Option<Value>,
    /// Below this.
    pub lt: Option<Value>,
    /// At or below this.
    pub lte: Option<Value>,
}

impl Filter {
    /// Reads a filter from JSON: `{"field": "a.b", "equal": v}`, `{"field": "a", "in": [v, w]}`,
    /// `{"field": "a", "range": {"gte": 1, "lt": 5}}`, `{"and": [f, g]}`, `{"or": [f, g]}`, `{"not": f}`.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) that names the key.
    pub fn from_json(json: &Value) -> Result<Self, VectorError> {
        let filter = parse(json, 0)?;
        filter.validate()?;
        Ok(filter)
    }

    /// Checks what the type cannot: depth, number of conditions, and that bounds are numbers or texts.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput).
    pub fn validate(&self) -> Result<(), VectorError> {
        let mut left = MAX_CONDITIONS;
        self.check(0, &mut left)
    }

    fn check(&self, depth: usize, left: &mut usize) -> Result<(), VectorError> {
        let conditions = match self {
            Self::In(_, values) => values.len().max(1),
            _ => 1,
        };
        if depth >= MAX_DEPTH || *left < conditions {
            return Err(malformed(format!(
                "at most {MAX_CONDITIONS} conditions, nested at most {MAX_DEPTH} deep"
            )));
        }
        *left -= conditions;
        match self {
            Self::Equal(..) | Self::In(..) => Ok(()),
            Self::Range(field, bounds) => bounds.validate(field),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().try_for_each(|part| part.check(depth + 1, left))
            }
            Self::Not(part) => part.check(depth + 1, left),
        }
    }

    /// Whether it holds for a payload.
    #[must_use]
    pub fn matches(&self, payload: Option<&Payload>) -> bool {
        let field = |path: &str| payload.and_then(|payload| at(payload, path));
        match self {
            Self::Equal(path, wanted) => field(path).is_some_and(|value| equal(value, wanted)),
            Self::In(path, values) => {
                field(path).is_some_and(|value| values.iter().any(|wanted| equal(value, wanted)))
            }
            Self::Range(path, bounds) => field(path).is_some_and(|value| bounds.hold(value)),
            Self::And(parts) => parts.iter().all(|part| part.matches(payload)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(payload)),
            Self::Not(part) => !part.matches(payload),
        }
    }
}

/// Which side of a bound is inside.
type Side = fn(Ordering) -> bool;

impl Bounds {
    fn all(&self) -> [(&Option<Value>, Side); 4] {
        [
            (&self.gt, Ordering::is_gt),
            (&self.gte, Ordering::is_ge),
            (&self.lt, Ordering::is_lt),
            (&self.lte, Ordering::is_le),
        ]
    }

    fn validate(&self, field: &str) -> Result<(), VectorError> {
        let mut given = self
            .all()
            .into_iter()
            .filter_map(|(bound, _)| bound.as_ref())
            .peekable();
        if given.peek().is_none() {
            return Err(malformed(format!("the range of `{field}` has no bound")));
        }
        if given.all(|bound| bound.is_number() || bound.is_string()) {
            Ok(())
        } else {
            Err(malformed(format!(
                "a bound of `{field}` is neither a number nor a text"
            )))
        }
    }

    fn hold(&self, value: &Value) -> bool {
        let within = |bound: &Value, side: Side| compare(value, bound).is_some_and(side);
        self.all()
            .into_iter()
            .all(|(bound, side)| bound.as_ref().is_none_or(|bound| within(bound, side)))
    }
}

fn malformed(reason: impl Into<String>) -> VectorError {
    VectorError::field("filter", reason)
}

fn at<'a>(payload: &'a Payload, path: &str) -> Option<&'a Value> {
    // A key that has a dot itself is found too.
    if let Some(value) = payload.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(payload.get(first)?.as_object()?, rest)
}

fn equal(a: &Value, b: &Value) -> bool {
    match compare(a, b) {
        Some(order) => order.is_eq(),
        None => a == b,
    }
}

/// Numbers by value, texts by their bytes; nothing else has an order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => {
            let whole = |n: &serde_json::Number| n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
            }
        }
        _ => None,
    }
}

fn parse(json: &Value, depth: usize) -> Result<Filter, VectorError> {
    if depth >= MAX_DEPTH {
        return Err(malformed(format!("nested more than {MAX_DEPTH} deep")));
    }
    let object = json
        .as_object()
        .ok_or_else(|| malformed("a condition is an object"))?;
    let list = |value: &Value, key: &str| {
        let parts = value
            .as_array()
            .ok_or_else(|| malformed(format!("`{key}` takes a list")))?;
        parts
            .iter()
            .map(|part| parse(part, depth + 1))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut entries: Vec<(&str, &Value)> = object.iter().map(|(key, value)| (key.as_str(), value)).collect();
    entries.sort_by_key(|(key, _)| *key != "field");
    match entries[..] {
        [("and", parts)] => Ok(Filter::And(list(parts, "and")?)),
        [("or", parts)] => Ok(Filter::Or(list(parts, "or")?)),
        [("not", part)] => Ok(Filter::Not(Box::new(parse(part, depth + 1)?))),
        [("field", Value::String(field)), ("equal", value)] => {
            Ok(Filter::Equal(field.clone(), value.clone()))
        }
        [("field", Value::String(field)), ("in", Value::Array(values))] => {
            Ok(Filter::In(field.clone(), values.clone()))
        }
        [("field", Value::String(field)), ("range", Value::Object(range))] => {
            Ok(Filter::Range(field.clone(), parse_bounds(field, range)?))
        }
        _ => {
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            Err(malformed(format!(
                "a condition has one of `and`, `or`, `not`, or a text `field` with one of `equal`, `in`, `range`; this \
                 one has [{}]",
                keys.join(", ")
            )))
        }
    }
}

fn parse_bounds(field: &str, range: &Payload) -> Result<Bounds, VectorError> {
    let mut bounds = Bounds::default();
    for (key, value) in range {
        let bound = match key.as_str() {
            "gt" => &mut bounds.gt,
            "gte" => &mut bounds.gte,
            "lt" => &mut bounds.lt,
            "lte" => &mut bounds.lte,
            _ => {
                return Err(malformed(format!(
                    "the range of `{field}` has `{key}`, which is not gt, gte, lt, lte"
                )));
            }
        };
        *bound = Some(value.clone());
    }
    Ok(bounds)
}
