//! [`Schema`]: what must hold of certain paths after every safe or hybrid commit: type, presence, range, default.

use super::{path::Path, value::Value};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any kind.
    Any,
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Int`].
    Int,
    /// [`Value::Int`] or [`Value::Float`].
    Number,
    /// [`Value::Str`].
    Str,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::List`].
    List,
    /// [`Value::Map`].
    Map,
}

impl Kind {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Int => matches!(value, Value::Int(_)),
            Self::Number => matches!(value, Value::Int(_) | Value::Float(_)),
            Self::Str => matches!(value, Value::Str(_)),
            Self::Bytes => matches!(value, Value::Bytes(_)),
            Self::List => matches!(value, Value::List(_)),
            Self::Map => matches!(value, Value::Map(_)),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Number => "number",
            Self::Str => "string",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// What must hold of one path.
#[derive(Clone, Debug)]
#[must_use]
pub struct Field {
    kind: Kind,
    required: bool,
    default: Option<Value>,
    least: Option<f64>,
    most: Option<f64>,
}

impl Field {
    /// A field of a kind, not required.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            required: false,
            default: None,
            least: None,
            most: None,
        }
    }

    /// It must be there.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It is set to this when the schema is, if it is not there.
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The least and the most: of a number itself, of text, bytes, lists and maps their length.
    pub const fn range(mut self, least: f64, most: f64) -> Self {
        self.least = Some(least);
        self.most = Some(most);
        self
    }

    fn check(&self, path: &Path, value: Option<&Value>) -> Result<()> {
        let broken = |reason| {
            Err(Error::Schema {
                path: path.to_string(),
                reason,
            })
        };
        let Some(value) = value else {
            return if self.required {
                broken("required and missing".into())
            } else {
                Ok(())
            };
        };
        if !self.kind.admits(value) {
            return Err(Error::TypeClash {
                path: path.to_string(),
                expected: self.kind.as_str().into(),
                found: value.kind().into(),
            });
        }
        let Some(size) = measure(value) else { return Ok(()) };
        match (self.least, self.most) {
            _ if size.is_nan() => broken("not a number".into()),
            (Some(least), _) if size < least => broken(format!("{size} is below {least}")),
            (_, Some(most)) if size > most => broken(format!("{size} is above {most}")),
            _ => Ok(()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "bounds are given as floats")]
fn measure(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Str(text) => Some(text.len() as f64),
        Value::Bytes(bytes) => Some(bytes.len() as f64),
        Value::List(list) => Some(list.len() as f64),
        Value::Map(map) => Some(map.len() as f64),
        _ => None,
    }
}

/// What must hold of a context.
///
/// ```
/// use quintet_stm::{Context, Field, Isolation, Kind, Schema};
///
/// let schema = Schema::new().field("order.total", Field::new(Kind::Int).range(0.0, 1000.0).default(0_i64)).unwrap();
/// let context = Context::new("shop");
/// context.set_schema(schema).unwrap();
/// let error = context.run(Isolation::Safe, |tx| tx.increment("order.total", -5)).unwrap_err();
/// assert_eq!(error.to_string(), "order.total: -5 is below 0");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub(crate) fields: BTreeMap<Path, Field>,
}

impl Schema {
    /// Nothing is demanded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands something of a path.
    ///
    /// # Errors
    /// [`Error::InvalidPath`]; when there is a demand for the path already; when the default breaks its own rule.
    pub fn field(mut self, path: &str, field: Field) -> Result<Self> {
        let path = Path::new(path)?;
        if let Some(default) = &field.default {
            field.check(&path, Some(default))?;
        }
        if self.fields.insert(path.clone(), field).is_some() {
            return Err(Error::InvalidOperation {
                at: path.to_string(),
                reason: "the schema has two fields for it".into(),
            });
        }
        Ok(self)
    }

    /// Checks what a path is to hold.
    pub(crate) fn check(&self, path: &Path, value: Option<&Value>) -> Result<()> {
        self.fields
            .get(path)
            .map_or(Ok(()), |field| field.check(path, value))
    }

    /// The values to set for paths that are not there.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = (&Path, &Value)> {
        self.fields
            .iter()
            .filter_map(|(path, field)| field.default.as_ref().map(|value| (path, value)))
    }
}
