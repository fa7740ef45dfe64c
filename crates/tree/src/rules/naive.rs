//! The language once more, evaluated straight from the syntax tree: the oracle that the compiled form is held against.
//!
//! Written to be obviously right: recursive, without steps, types or jumps. Only for tests.

use super::{
    eval::{Context, Stop},
    expr::{Binary, Expr, Node},
    value::{Snapshot, State, Value, number_text},
};
use serde_json::Value as Json;
use std::borrow::Cow;

/// What the expression comes to.
pub(super) fn evaluate<'a>(
    node: &'a Node,
    context: &Context<'a>,
    captures: &[String],
) -> Result<Value<'a>, Stop> {
    let go = |node: &'a Node| evaluate(node, context, captures);
    let fails = || Err(Stop::Fails("naive".to_owned()));
    Ok(match &node.expr {
        Expr::Null => Value::Null,
        Expr::Bool(value) => Value::Bool(*value),
        Expr::Number(value) => Value::Number(*value),
        Expr::String(value) => Value::String(Cow::Borrowed(value)),
        Expr::Pattern(_) | Expr::List(_) => return fails(),
        Expr::Name(name) => match name.as_str() {
            "auth" => Value::of_json(context.auth),
            "now" => Value::Number(context.now_ms),
            "root" => place(State::Old, Vec::new()),
            "data" => place(State::Old, context.path.to_vec()),
            "newData" => place(State::New, context.path.to_vec()),
            captured => {
                let slot = captures.iter().rposition(|known| known == captured);
                Value::String(Cow::Borrowed(context.captures[slot.expect("checked")]))
            }
        },
        Expr::Member(target, name) => match (go(target)?, name.as_str()) {
            (Value::String(text), "length") => Value::Number(text.encode_utf16().count() as f64),
            (Value::Null | Value::Json(Json::Array(_)), name) if name != "length" || claim(target) => {
                Value::Null
            }
            (Value::Json(Json::Object(fields)), name) => fields.get(name).map_or(Value::Null, Value::of_json),
            _ => return fails(),
        },
        Expr::Index(target, index) => match (go(target)?, go(index)?) {
            (Value::Null | Value::Json(Json::Array(_)), Value::String(_)) => Value::Null,
            (Value::Json(Json::Object(fields)), Value::String(name)) => {
                fields.get(name.as_ref()).map_or(Value::Null, Value::of_json)
            }
            _ => return fails(),
        },
        Expr::Call(target, method, arguments) => {
            let target = go(target)?;
            return call(target, method, arguments, context, captures);
        }
        Expr::Not(operand) => match go(operand)? {
            Value::Bool(value) => Value::Bool(!value),
            _ => return fails(),
        },
        Expr::Negate(operand) => match go(operand)? {
            Value::Number(value) => Value::Number(-value),
            _ => return fails(),
        },
        Expr::Binary(operator @ (Binary::And | Binary::Or), left, right) => match go(left)? {
            Value::Bool(value) if value == (*operator == Binary::Or) => Value::Bool(value),
            Value::Bool(_) => match go(right)? {
                Value::Bool(value) => Value::Bool(value),
                _ => return fails(),
            },
            _ => return fails(),
        },
        Expr::Binary(operator, left, right) => return binary(*operator, &go(left)?, &go(right)?, context),
        Expr::Choose(condition, then, otherwise) => match go(condition)? {
            Value::Bool(true) => go(then)?,
            Value::Bool(false) => go(otherwise)?,
            _ => return fails(),
        },
    })
}

fn claim(node: &Node) -> bool {
    match &node.expr {
        Expr::Name(name) => name == "auth",
        Expr::Member(target, _) | Expr::Index(target, _) => claim(target),
        _ => false,
    }
}

fn place<'a>(state: State, path: Vec<Cow<'a, str>>) -> Value<'a> {
    Value::Snapshot(Snapshot { state, path })
}

fn binary<'a>(
    operator: Binary,
    a: &Value<'a>,
    b: &Value<'a>,
    context: &Context<'a>,
) -> Result<Value<'a>, Stop> {
    use Value::{Bool, Number, String};
    Ok(match (operator, a, b) {
        (Binary::Equal, a, b) => Bool(context.equal(a, b)?),
        (Binary::NotEqual, a, b) => Bool(!context.equal(a, b)?),
        (Binary::Less, Number(a), Number(b)) => Bool(a < b),
        (Binary::LessOrEqual, Number(a), Number(b)) => Bool(a <= b),
        (Binary::Greater, Number(a), Number(b)) => Bool(a > b),
        (Binary::GreaterOrEqual, Number(a), Number(b)) => Bool(a >= b),
        (Binary::Less, String(a), String(b)) => Bool(a < b),
        (Binary::LessOrEqual, String(a), String(b)) => Bool(a <= b),
        (Binary::Greater, String(a), String(b)) => Bool(a > b),
        (Binary::GreaterOrEqual, String(a), String(b)) => Bool(a >= b),
        (Binary::Add, Number(a), Number(b)) => Number(a + b),
        (Binary::Add, String(a), String(b)) => String(format!("{a}{b}").into()),
        (Binary::Add, String(a), Number(b)) => String(format!("{a}{}", number_text(*b)).into()),
        (Binary::Add, Number(a), String(b)) => String(format!("{}{b}", number_text(*a)).into()),
        (Binary::Subtract, Number(a), Number(b)) => Number(a - b),
        (Binary::Multiply, Number(a), Number(b)) => Number(a * b),
        (Binary::Divide, Number(a), Number(b)) => Number(a / b),
        (Binary::Remainder, Number(a), Number(b)) => Number(a % b),
        _ => return Err(Stop::Fails("naive".to_owned())),
    })
}

fn call<'a>(
    target: Value<'a>,
    method: &str,
    arguments: &'a [Node],
    context: &Context<'a>,
    captures: &[String],
) -> Result<Value<'a>, Stop> {
    use super::data::Found;
    if let (
        Value::String(text),
        "matches",
        [
            Node {
                expr: Expr::Pattern(pattern),
                ..
            },
        ],
    ) = (&target, method, arguments)
    {
        return Ok(Value::Bool(pattern.is_match(text)));
    }
    if let (
        Value::Snapshot(place),
        "hasChildren",
        [
            Node {
                expr: Expr::List(names),
                ..
            },
        ],
    ) = (&target, method, arguments)
    {
        let mut all = true;
        for name in names {
            match evaluate(name, context, captures)? {
                Value::String(name) => {
                    let child = context.child(place.clone(), &name)?;
                    all &= context.look(&child)? != Found::Nothing;
                }
                _ => return Err(Stop::Fails("naive".to_owned())),
            }
        }
        return Ok(Value::Bool(all));
    }
    let arguments: Vec<Value<'a>> = arguments
        .iter()
        .map(|argument| evaluate(argument, context, captures))
        .collect::<Result<_, _>>()?;
    let text = |index: usize| match arguments.get(index) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(Stop::Fails("naive".to_owned())),
    };
    Ok(match (target, method) {
        (Value::Snapshot(place), "child") => Value::Snapshot(context.child(place, &text(0)?)?),
        (Value::Snapshot(place), "hasChild") => {
            let child = context.child(place, &text(0)?)?;
            Value::Bool(context.look(&child)? != Found::Nothing)
        }
        (Value::Snapshot(mut place), "parent") => match place.path.pop() {
            Some(_) => Value::Snapshot(place),
            None => return Err(Stop::Fails("naive".to_owned())),
        },
        (Value::Snapshot(place), "val") => context.val(place)?,
        (Value::Snapshot(_), "getPriority") => Value::Null,
        (Value::Snapshot(place), "exists") => Value::Bool(context.look(&place)? != Found::Nothing),
        (Value::Snapshot(place), "hasChildren") => Value::Bool(context.look(&place)? == Found::Inner),
        (Value::Snapshot(place), "isString") => {
            Value::Bool(matches!(context.look(&place)?, Found::String(_)))
        }
        (Value::Snapshot(place), "isNumber") => {
            Value::Bool(matches!(context.look(&place)?, Found::Number(_)))
        }
        (Value::Snapshot(place), "isBoolean") => Value::Bool(matches!(context.look(&place)?, Found::Bool(_))),
        (Value::String(value), method) => return text_call(value, method, &text),
        _ => return Err(Stop::Fails("naive".to_owned())),
    })
}

fn text_call<'a>(
    value: Cow<'a, str>,
    method: &str,
    text: &dyn Fn(usize) -> Result<Cow<'a, str>, Stop>,
) -> Result<Value<'a>, Stop> {
    Ok(match method {
        "contains" => Value::Bool(value.contains(text(0)?.as_ref())),
        "beginsWith" => Value::Bool(value.starts_with(text(0)?.as_ref())),
        "endsWith" => Value::Bool(value.ends_with(text(0)?.as_ref())),
        "replace" if text(0)?.is_empty() => Value::String(value),
        "replace" => Value::String(value.replace(text(0)?.as_ref(), text(1)?.as_ref()).into()),
        "toLowerCase" => Value::String(value.to_lowercase().into()),
        "toUpperCase" => Value::String(value.to_uppercase().into()),
        _ => return Err(Stop::Fails("naive".to_owned())),
    })
}
