//! The evaluator: rhai, with everything that is not an expression left out and limits on the rest.

use super::{Refusal, scan::Scanned};
use rhai::{AST, Array, Blob, Dynamic, Engine, EvalAltResult, ImmutableString, Map, Position, Scope};
use std::{cmp::Ordering, sync::LazyLock};

/// What an expression may call.
pub(crate) const FUNCTIONS: [&str; 11] = [
    "len", "int", "float", "str", "bool", "abs", "min", "max", "sum", "has", "get",
];

/// The most operations of one evaluation.
const MAX_OPERATIONS: u64 = 10_000;
/// How deep an expression may nest.
const MAX_DEPTH: usize = 48;
/// The longest text and list that an expression may make.
const MAX_TEXT_BYTES: usize = 1 << 20;
const MAX_ITEMS: usize = 1 << 16;

/// What `has` and `get` are given for a path at which there is nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing;

type Answer<T> = Result<T, Box<EvalAltResult>>;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_expr_depths(MAX_DEPTH)
        .set_max_string_size(MAX_TEXT_BYTES)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS)
        .set_max_variables(128)
        .set_fail_on_invalid_map_property(true)
        // So that comparisons of different kinds come to the functions below, and not to a silent `false`.
        .set_fast_operators(false);
    register_prefixes(&mut engine);
    register_comparisons(&mut engine);
    register_functions(&mut engine);
    engine
});

fn register_prefixes(engine: &mut Engine) {
    engine.register_fn("-", |number: i64| -> Answer<i64> {
        number
            .checked_neg()
            .ok_or_else(|| format!("minus {number} is beyond a whole number").into())
    });
    engine.register_fn("-", |number: f64| -number);
    engine.register_fn("+", |number: i64| number);
    engine.register_fn("+", |number: f64| number);
    engine.register_fn("!", |set: bool| !set);
}

fn register_comparisons(engine: &mut Engine) {
    fn order(a: &Dynamic, b: &Dynamic) -> Answer<Option<Ordering>> {
        let texts = (a.read_lock::<ImmutableString>(), b.read_lock::<ImmutableString>());
        if let (Some(a), Some(b)) = texts {
            return Ok(Some(a.as_str().cmp(b.as_str())));
        }
        match (number(a), number(b)) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => Ok(Some(a.cmp(&b))),
            (Some(a), Some(b)) => Ok(a.float().partial_cmp(&b.float())),
            _ => Err(format!("cannot compare {} with {}", kind(a), kind(b)).into()),
        }
    }
    engine.register_fn("<", |a: Dynamic, b: Dynamic| -> Answer<bool> {
        Ok(order(&a, &b)? == Some(Ordering::Less))
    });
    engine.register_fn(">", |a: Dynamic, b: Dynamic| -> Answer<bool> {
        Ok(order(&a, &b)? == Some(Ordering::Greater))
    });
    engine.register_fn("<=", |a: Dynamic, b: Dynamic| -> Answer<bool> {
        Ok(matches!(order(&a, &b)?, Some(Ordering::Less | Ordering::Equal)))
    });
    engine.register_fn(">=", |a: Dynamic, b: Dynamic| -> Answer<bool> {
        Ok(matches!(
            order(&a, &b)?,
            Some(Ordering::Greater | Ordering::Equal)
        ))
    });
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "the other side is a float")]
    const fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

fn number(value: &Dynamic) -> Option<Number> {
    let int = value.as_int().ok().map(Number::Int);
    int.or_else(|| value.as_float().ok().map(Number::Float))
}

fn kind(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "null"
    } else if value.is_int() {
        "a whole number"
    } else if value.is_float() {
        "a number"
    } else if value.is_bool() {
        "true or false"
    } else if value.is_string() {
        "text"
    } else if value.is_array() {
        "a list"
    } else if value.is_map() {
        "a map"
    } else if value.is::<Missing>() {
        "nothing"
    } else {
        "bytes"
    }
}

fn unfit<T>(function: &str, value: &Dynamic) -> Answer<T> {
    Err(format!("`{function}` of {}", kind(value)).into())
}

fn register_functions(engine: &mut Engine) {
    engine.register_fn("has", |value: Dynamic| !value.is::<Missing>());
    engine.register_fn(
        "get",
        |value: Dynamic, otherwise: Dynamic| {
            if value.is::<Missing>() { otherwise } else { value }
        },
    );
    engine.register_fn("len", |value: Dynamic| -> Answer<i64> {
        let length = if let Some(text) = value.read_lock::<ImmutableString>() {
            text.chars().count()
        } else if let Some(list) = value.read_lock::<Array>() {
            list.len()
        } else if let Some(map) = value.read_lock::<Map>() {
            map.len()
        } else if let Some(bytes) = value.read_lock::<Blob>() {
            bytes.len()
        } else {
            return unfit("len", &value);
        };
        Ok(i64::try_from(length).unwrap_or(i64::MAX))
    });
    engine.register_fn("int", |value: Dynamic| -> Answer<i64> {
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return text
                .trim()
                .parse()
                .map_err(|_| format!("`int` of the text {:?}", text.as_str()).into());
        }
        match (number(&value), value.as_bool()) {
            (Some(Number::Int(number)), _) => Ok(number),
            (Some(Number::Float(number)), _) => whole(number),
            (None, Ok(set)) => Ok(i64::from(set)),
            _ => unfit("int", &value),
        }
    });
    register_conversions(engine);
    register_numbers(engine);
    register_lists(engine);
}

fn register_conversions(engine: &mut Engine) {
    engine.register_fn("float", |value: Dynamic| -> Answer<f64> {
        if let Some(text) = value.read_lock::<ImmutableString>() {
            let number = text
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite());
            return number.ok_or_else(|| format!("`float` of the text {:?}", text.as_str()).into());
        }
        number(&value).map_or_else(|| unfit("float", &value), |number| Ok(number.float()))
    });
    engine.register_fn("str", |value: Dynamic| -> Answer<ImmutableString> {
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return Ok(text.clone());
        }
        match (number(&value), value.as_bool()) {
            (Some(Number::Int(number)), _) => Ok(number.to_string().into()),
            (Some(Number::Float(number)), _) => Ok(format!("{number:?}").into()),
            (None, Ok(set)) => Ok(set.to_string().into()),
            _ if value.is_unit() => Ok("null".into()),
            _ => unfit("str", &value),
        }
    });
    engine.register_fn("bool", |value: Dynamic| -> Answer<bool> {
        if let Ok(set) = value.as_bool() {
            return Ok(set);
        }
        if let Some(text) = value.read_lock::<ImmutableString>() {
            return Ok(!text.is_empty());
        }
        match number(&value) {
            Some(number) => Ok(number.float() != 0.0),
            None if value.is_unit() => Ok(false),
            None => unfit("bool", &value),
        }
    });
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "within range, and cut towards zero on purpose"
)]
fn whole(number: f64) -> Answer<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number > -LIMIT - 1.0 && number < LIMIT {
        Ok(number as i64)
    } else {
        Err(format!("`int` of {number}, which is beyond a whole number").into())
    }
}

fn register_numbers(engine: &mut Engine) {
    fn pick(function: &str, wanted: Ordering, a: Dynamic, b: Dynamic) -> Answer<Dynamic> {
        match (number(&a), number(&b)) {
            (Some(Number::Int(x)), Some(Number::Int(y))) => Ok(if x.cmp(&y) == wanted { a } else { b }),
            (Some(x), Some(y)) => Ok(if x.float().total_cmp(&y.float()) == wanted {
                a
            } else {
                b
            }),
            (None, _) => unfit(function, &a),
            (_, None) => unfit(function, &b),
        }
    }
    fn of_list(function: &str, wanted: Ordering, list: Array) -> Answer<Dynamic> {
        let mut items = list.into_iter();
        let first = items
            .next()
            .ok_or_else(|| format!("`{function}` of an empty list"))?;
        items.try_fold(first, |best, item| pick(function, wanted, best, item))
    }
    for (name, wanted) in [("min", Ordering::Less), ("max", Ordering::Greater)] {
        engine.register_fn(name, move |a: Dynamic, b: Dynamic| pick(name, wanted, a, b));
        engine.register_fn(name, move |list: Array| of_list(name, wanted, list));
    }
    engine.register_fn("abs", |value: Dynamic| -> Answer<Dynamic> {
        match number(&value) {
            Some(Number::Int(number)) => number
                .checked_abs()
                .map(Dynamic::from)
                .ok_or_else(|| format!("`abs` of {number} is beyond a whole number").into()),
            Some(Number::Float(number)) => Ok(Dynamic::from(number.abs())),
            None => unfit("abs", &value),
        }
    });
    engine.register_fn("sum", |list: Array| -> Answer<Dynamic> {
        let mut sum = Number::Int(0);
        for item in &list {
            sum = match (sum, number(item)) {
                (Number::Int(sum), Some(Number::Int(item))) => match sum.checked_add(item) {
                    Some(sum) => Number::Int(sum),
                    None => return Err("`sum` is beyond a whole number".into()),
                },
                (sum, Some(item)) => Number::Float(sum.float() + item.float()),
                (_, None) => return unfit("sum", item),
            };
        }
        Ok(match sum {
            Number::Int(sum) => Dynamic::from(sum),
            Number::Float(sum) => Dynamic::from(sum),
        })
    });
}

/// Equality looks inside lists and maps; what is of different kinds is unequal. Recursion is as deep as values nest.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    let texts = (a.read_lock::<ImmutableString>(), b.read_lock::<ImmutableString>());
    if let (Some(a), Some(b)) = texts {
        return *a == *b;
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Map>(), b.read_lock::<Map>()) {
        let pairs = a.iter().zip(b.iter());
        return a.len() == b.len() && pairs.into_iter().all(|((x, a), (y, b))| x == y && same(a, b));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Blob>(), b.read_lock::<Blob>()) {
        return *a == *b;
    }
    match (number(a), number(b)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => a == b,
        #[expect(clippy::float_cmp, reason = "equality is what was asked for")]
        (Some(a), Some(b)) => a.float() == b.float(),
        _ => match (a.as_bool(), b.as_bool()) {
            (Ok(a), Ok(b)) => a == b,
            _ => a.is_unit() && b.is_unit(),
        },
    }
}

/// `a in b`, and lists joined by `+`.
fn register_lists(engine: &mut Engine) {
    engine.register_fn("==", |a: Dynamic, b: Dynamic| same(&a, &b));
    engine.register_fn("!=", |a: Dynamic, b: Dynamic| !same(&a, &b));
    engine.register_fn("+", |mut a: Array, mut b: Array| -> Answer<Array> {
        if a.len() + b.len() > MAX_ITEMS {
            return Err(format!("a list of more than {MAX_ITEMS} items").into());
        }
        a.append(&mut b);
        Ok(a)
    });
    engine.register_fn("contains", |list: Array, item: Dynamic| {
        list.iter().any(|other| same(other, &item))
    });
    engine.register_fn("contains", |map: Map, name: ImmutableString| {
        map.contains_key(name.as_str())
    });
    engine.register_fn("contains", |text: ImmutableString, part: ImmutableString| {
        text.contains(part.as_str())
    });
}

pub(super) fn compile(scanned: &Scanned) -> Result<AST, Refusal> {
    ENGINE.compile_expression(&scanned.text).map_err(|error| {
        let message = error.err_type().to_string();
        Refusal {
            at: place(error.position(), scanned).unwrap_or_default(),
            width: 1,
            message: first_lower(&message),
            suggestion: None,
        }
    })
}

fn place(position: Position, scanned: &Scanned) -> Option<usize> {
    Some(scanned.original(position.line()?, position.position()?))
}

fn first_lower(message: &str) -> String {
    let mut characters = message.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

pub(super) fn evaluate(ast: &AST, scope: &mut Scope<'_>) -> Result<Dynamic, Box<EvalAltResult>> {
    ENGINE.eval_ast_with_scope::<Dynamic>(scope, ast)
}

/// What went wrong in words of this language, and at which character. `path_of` knows what a variable stands for.
pub(super) fn explain<'p>(
    error: &EvalAltResult,
    scanned: &Scanned,
    path_of: impl Fn(&str) -> Option<&'p str>,
) -> (String, Option<usize>) {
    let at = place(error.position(), scanned);
    let message = match error {
        EvalAltResult::ErrorVariableNotFound(name, _) => match path_of(name) {
            Some(path) => format!("nothing is at `{path}`; if that is fine, write `get({path}, default)`"),
            None => format!("`{name}` is unknown"),
        },
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let words = signature
                .replace("i64", "whole number")
                .replace("f64", "number")
                .replace("&str | ImmutableString | String", "text")
                .replace("ImmutableString", "text")
                .replace("array", "list")
                .replace("()", "null");
            format!("there is no `{words}`")
        }
        EvalAltResult::ErrorTooManyOperations(_) => format!("more than {MAX_OPERATIONS} operations"),
        EvalAltResult::ErrorRuntime(value, _) => value.to_string(),
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => explain(inner, scanned, path_of).0,
        other => {
            let mut plain = other.to_string();
            if let Some(cut) = plain.rfind(" (line ") {
                plain.truncate(cut);
            }
            first_lower(&plain)
        }
    };
    (message.chars().take(400).collect(), at)
}
