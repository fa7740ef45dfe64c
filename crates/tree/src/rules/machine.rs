//! The operations of a program, on a stack of values.
//!
//! Made and stepped by [`run`](super::eval::run). No operation loops over anything but text that was paid for in steps.

use super::{
    data::Found,
    eval::{Context, Stop},
    program::{Arithmetic, Method, Op, Order},
    value::{Snapshot, State, Value, number_text},
};
use serde_json::Value as Json;
use std::{borrow::Cow, cmp::Ordering};

/// The longest string that a rule may make, in bytes.
const STRING_BYTES_MAX: usize = 1 << 20;

/// A stack of values.
pub(super) struct Machine<'a> {
    context: Context<'a>,
    stack: Vec<Value<'a>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(context: Context<'a>) -> Self {
        Self {
            context,
            stack: Vec::with_capacity(8),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>, Stop> {
        // The compiler balances the stack; were it wrong, the rule fails instead of the process.
        self.stack
            .pop()
            .ok_or_else(|| Stop::Fails("the rule was compiled wrongly".to_owned()))
    }

    pub(super) fn pop_bool(&mut self, place: &str) -> Result<bool, Stop> {
        match self.pop()? {
            Value::Bool(value) => Ok(value),
            other => Err(unfit(place, "a boolean", &other)),
        }
    }

    fn pop_number(&mut self, place: &str) -> Result<f64, Stop> {
        match self.pop()? {
            Value::Number(value) => Ok(value),
            other => Err(unfit(place, "a number", &other)),
        }
    }

    fn pop_string(&mut self, place: &str) -> Result<Cow<'a, str>, Stop> {
        match self.pop()? {
            Value::String(value) => Ok(value),
            other => Err(unfit(place, "a string", &other)),
        }
    }

    fn pop_place(&mut self) -> Result<Snapshot<'a>, Stop> {
        match self.pop()? {
            Value::Snapshot(place) => Ok(place),
            other => Err(unfit("a method", "a snapshot", &other)),
        }
    }

    /// Does one operation; `Some` = where to go on instead of at the next.
    pub(super) fn step(&mut self, op: &'a Op) -> Result<Option<usize>, Stop> {
        let value = match op {
            Op::Null => Value::Null,
            Op::Bool(value) => Value::Bool(*value),
            Op::Number(value) => Value::Number(*value),
            Op::String(value) => Value::String(Cow::Borrowed(value)),
            Op::Auth => Value::of_json(self.context.auth),
            Op::Now => Value::Number(self.context.now_ms),
            Op::Captured(slot) => match self.context.captures.get(*slot) {
                Some(segment) => Value::String(Cow::Borrowed(segment)),
                None => return Err(Stop::Fails("the rule was compiled wrongly".to_owned())),
            },
            Op::Root => Value::Snapshot(Snapshot {
                state: State::Old,
                path: Vec::new(),
            }),
            Op::Here(state) => Value::Snapshot(Snapshot {
                state: *state,
                path: self.context.path.to_vec(),
            }),
            Op::Member(name) => member(&self.pop()?, name)?,
            Op::Index => {
                let name = self.pop_string("[…]")?;
                member(&self.pop()?, &name)?
            }
            Op::Not => Value::Bool(!self.pop_bool("`!`")?),
            Op::Negate => Value::Number(-self.pop_number("`-`")?),
            Op::Arithmetic(operation) => self.arithmetic(*operation)?,
            Op::Equal { negated } => {
                let (b, a) = (self.pop()?, self.pop()?);
                Value::Bool(self.context.equal(&a, &b)? != *negated)
            }
            Op::Order(order) => self.order(*order)?,
            Op::Boolean => Value::Bool(self.pop_bool("`&&` and `||`")?),
            Op::Short { when, to } => {
                let value = self.pop_bool("`&&` and `||`")?;
                if value == *when {
                    self.stack.push(Value::Bool(value));
                    return Ok(Some(*to));
                }
                return Ok(None);
            }
            Op::Unless { to } => {
                let value = self.pop_bool("`?`")?;
                return Ok((!value).then_some(*to));
            }
            Op::Jump { to } => return Ok(Some(*to)),
            Op::Method(method) => self.method(*method)?,
            Op::HasChildren { names } => self.has_children(*names)?,
            Op::Matches(pattern) => {
                let text = self.pop_string(".matches()")?;
                self.context.spend_text(text.len().saturating_mul(8))?;
                Value::Bool(pattern.is_match(&text))
            }
        };
        self.stack.push(value);
        Ok(None)
    }

    fn arithmetic(&mut self, operation: Arithmetic) -> Result<Value<'a>, Stop> {
        let (b, a) = (self.pop()?, self.pop()?);
        Ok(match (operation, &a, &b) {
            (Arithmetic::Add, Value::Number(a), Value::Number(b)) => Value::Number(a + b),
            (Arithmetic::Add, Value::String(_) | Value::Number(_), Value::String(_) | Value::Number(_)) => {
                let text = concatenated(&a, &b)?;
                self.context.spend_text(text.len())?;
                Value::String(Cow::Owned(text))
            }
            (Arithmetic::Subtract, Value::Number(a), Value::Number(b)) => Value::Number(a - b),
            (Arithmetic::Multiply, Value::Number(a), Value::Number(b)) => Value::Number(a * b),
            (Arithmetic::Divide, Value::Number(a), Value::Number(b)) => Value::Number(a / b),
            (Arithmetic::Remainder, Value::Number(a), Value::Number(b)) => Value::Number(a % b),
            _ => {
                return Err(Stop::Fails(format!(
                    "an operator cannot take {} and {}",
                    a.kind(),
                    b.kind()
                )));
            }
        })
    }

    fn order(&mut self, order: Order) -> Result<Value<'a>, Stop> {
        let (b, a) = (self.pop()?, self.pop()?);
        let found = match (&a, &b) {
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
            (Value::String(a), Value::String(b)) => {
                self.context.spend_text(a.len())?;
                Some(a.cmp(b))
            }
            _ => {
                return Err(Stop::Fails(format!(
                    "there is no order between {} and {}",
                    a.kind(),
                    b.kind()
                )));
            }
        };
        Ok(Value::Bool(found.is_some_and(|found| match order {
            Order::Less => found == Ordering::Less,
            Order::LessOrEqual => found != Ordering::Greater,
            Order::Greater => found == Ordering::Greater,
            Order::GreaterOrEqual => found != Ordering::Less,
        })))
    }

    fn has_children(&mut self, names: Option<usize>) -> Result<Value<'a>, Stop> {
        let Some(count) = names else {
            let place = self.pop_place()?;
            return Ok(Value::Bool(self.context.look(&place)? == Found::Inner));
        };
        let mut wanted = Vec::with_capacity(count);
        for _ in 0..count {
            wanted.push(self.pop_string(".hasChildren()")?);
        }
        let place = self.pop_place()?;
        for name in wanted {
            let child = self.context.child(place.clone(), &name)?;
            if self.context.look(&child)? == Found::Nothing {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    }

    fn method(&mut self, method: Method) -> Result<Value<'a>, Stop> {
        Ok(match method {
            Method::Child | Method::HasChild => {
                let path = self.pop_string(".child()")?;
                let place = self.pop_place()?;
                let child = self.context.child(place, &path)?;
                if method == Method::Child {
                    Value::Snapshot(child)
                } else {
                    Value::Bool(self.context.look(&child)? != Found::Nothing)
                }
            }
            Method::Parent => {
                let mut place = self.pop_place()?;
                if place.path.pop().is_none() {
                    return Err(Stop::Fails("the root has no parent".to_owned()));
                }
                Value::Snapshot(place)
            }
            Method::Val => {
                let place = self.pop_place()?;
                self.context.val(place)?
            }
            Method::Priority => {
                self.pop_place()?;
                Value::Null
            }
            Method::Exists | Method::IsString | Method::IsNumber | Method::IsBoolean => {
                let place = self.pop_place()?;
                let found = self.context.look(&place)?;
                Value::Bool(match method {
                    Method::Exists => found != Found::Nothing,
                    Method::IsString => matches!(found, Found::String(_)),
                    Method::IsNumber => matches!(found, Found::Number(_)),
                    _ => matches!(found, Found::Bool(_)),
                })
            }
            Method::Length
            | Method::Contains
            | Method::BeginsWith
            | Method::EndsWith
            | Method::Replace
            | Method::ToLowerCase
            | Method::ToUpperCase => self.text(method)?,
        })
    }

    fn text(&mut self, method: Method) -> Result<Value<'a>, Stop> {
        const PLACE: &str = "a string's method";
        let last = match method {
            Method::Contains | Method::BeginsWith | Method::EndsWith | Method::Replace => {
                self.pop_string(PLACE)?
            }
            _ => Cow::Borrowed(""),
        };
        let searched = if method == Method::Replace {
            self.pop_string(PLACE)?
        } else {
            Cow::Borrowed("")
        };
        let text = self.pop_string(PLACE)?;
        self.context.spend_text(text.len())?;
        Ok(match method {
            Method::Length => length(&text),
            Method::Contains => Value::Bool(text.contains(last.as_ref())),
            Method::BeginsWith => Value::Bool(text.starts_with(last.as_ref())),
            Method::EndsWith => Value::Bool(text.ends_with(last.as_ref())),
            Method::ToLowerCase => Value::String(Cow::Owned(text.to_lowercase())),
            Method::ToUpperCase => Value::String(Cow::Owned(text.to_uppercase())),
            _ => Value::String(Cow::Owned(replaced(&text, &searched, &last)?)),
        })
    }
}

/// The length of a string as the language counts it: in UTF-16 units.
fn length<'a>(text: &str) -> Value<'a> {
    #[expect(clippy::cast_precision_loss, reason = "a string is shorter than 2^52")]
    let units = text.encode_utf16().count() as f64;
    Value::Number(units)
}

/// A field of the user or of a claim.
fn member<'a>(target: &Value<'a>, name: &str) -> Result<Value<'a>, Stop> {
    match target {
        // What is not there is null, all the way down, so that `auth.token.email` needs no guard.
        Value::Null => Ok(Value::Null),
        Value::Json(Json::Object(fields)) => Ok(fields.get(name).map_or(Value::Null, Value::of_json)),
        Value::Json(_) => Ok(Value::Null),
        // A claim that is a string has the property that every string has.
        Value::String(text) if name == "length" => Ok(length(text)),
        other => Err(Stop::Fails(format!("{} has no `{name}`", other.kind()))),
    }
}

fn concatenated(a: &Value<'_>, b: &Value<'_>) -> Result<String, Stop> {
    let mut out = String::new();
    for value in [a, b] {
        match value {
            Value::String(text) => out.push_str(text),
            Value::Number(number) => out.push_str(&number_text(*number)),
            other => return Err(unfit("`+`", "a string", other)),
        }
        if out.len() > STRING_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(out)
}

fn replaced(text: &str, searched: &str, by: &str) -> Result<String, Stop> {
    if searched.is_empty() {
        return Ok(text.to_owned());
    }
    let grows = by.len().saturating_sub(searched.len());
    let most = text.len() + text.len() / searched.len() * grows;
    if most > STRING_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replace(searched, by))
}

fn too_long() -> Stop {
    Stop::Fails(format!("a string longer than {STRING_BYTES_MAX} bytes"))
}

fn unfit(place: &str, wanted: &str, found: &Value<'_>) -> Stop {
    Stop::Fails(format!("{place} needs {wanted}, found {}", found.kind()))
}
