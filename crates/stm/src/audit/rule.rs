//! [`Rule`]: one condition on one path, and what happens when it is broken.

use crate::{Error, Level, Path, Result, Value};

/// What must hold of a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// A number of at least this.
    Min(f64),
    /// A number of at most this.
    Max(f64),
    /// Equal to this; whole and other numbers compare by size.
    Eq(Value),
    /// Not equal to this.
    Neq(Value),
    /// Text, bytes, a list or a map at least so long. Text counts characters.
    MinLen(usize),
    /// Text, bytes, a list or a map at most so long.
    MaxLen(usize),
}

impl Condition {
    /// The name that a recipe writes.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::Eq(_) => "eq",
            Self::Neq(_) => "neq",
            Self::MinLen(_) => "min_len",
            Self::MaxLen(_) => "max_len",
        }
    }

    /// How the value breaks it, or `None`.
    pub(super) fn objection(&self, path: &Path, value: &Value) -> Result<Option<String>> {
        let clash = |expected: &str| Error::TypeClash {
            path: path.to_string(),
            expected: expected.into(),
            found: value.kind().into(),
        };
        let number = || number(value).ok_or_else(|| clash("a number, as the audit's rule asks"));
        let length =
            || length(value).ok_or_else(|| clash("something with a length, as the audit's rule asks"));
        Ok(match self {
            // What is no number at all is neither above nor below anything.
            Self::Min(least) => {
                let number = number()?;
                (number.is_nan() || number < *least).then(|| format!("{number} is below {least}"))
            }
            Self::Max(most) => {
                let number = number()?;
                (number.is_nan() || number > *most).then(|| format!("{number} is above {most}"))
            }
            Self::Eq(wanted) => (!equal(value, wanted)).then(|| "it is not the value wanted".into()),
            Self::Neq(unwanted) => equal(value, unwanted).then(|| "it is the value not wanted".into()),
            Self::MinLen(least) => {
                let length = length()?;
                (length < *least).then(|| format!("its length {length} is below {least}"))
            }
            Self::MaxLen(most) => {
                let length = length()?;
                (length > *most).then(|| format!("its length {length} is above {most}"))
            }
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "bounds are given as floats")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Str(text) => Some(text.chars().count()),
        Value::Bytes(bytes) => Some(bytes.len()),
        Value::List(list) => Some(list.len()),
        Value::Map(map) => Some(map.len()),
        _ => None,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => number(a) == number(b),
        _ => a == b,
    }
}

/// One condition on one path.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Rule {
    /// The path.
    pub field: Path,
    /// What must hold of it.
    pub condition: Condition,
    /// What happens at the threshold.
    pub level: Level,
    /// The violation at which the level acts and counting begins again. Default 1; at least 1.
    pub max_threshold: u32,
    /// The violation from which each one warns. Default 0: every one.
    pub min_threshold: u32,
    /// Whether a value that keeps the rule sets the count to 0. Default no: violations add up.
    pub reset_on_success: bool,
    /// What to say instead of the plain description.
    pub message: Option<String>,
}

impl Rule {
    /// A rule that acts at the first violation.
    pub const fn new(field: Path, condition: Condition, level: Level) -> Self {
        Self {
            field,
            condition,
            level,
            max_threshold: 1,
            min_threshold: 0,
            reset_on_success: false,
            message: None,
        }
    }

    /// How the value at the path breaks the rule, or `None`.
    ///
    /// # Errors
    /// When nothing is there, or something that the condition cannot be asked of.
    pub(super) fn judge(&self, value: Option<&Value>) -> Result<Option<String>> {
        let Some(value) = value else {
            return Err(Error::Schema {
                path: self.field.to_string(),
                reason: format!(
                    "missing, and the audit's rule `{}` needs it",
                    self.condition.as_str()
                ),
            });
        };
        let objection = self.condition.objection(&self.field, value)?;
        Ok(objection.map(|how| match &self.message {
            Some(message) => format!("{message} ({}: {how})", self.field),
            None => format!("{}: {how}", self.field),
        }))
    }
}
