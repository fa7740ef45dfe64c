//! Values as JSON that a person can read. What JSON has no word for is an object with one `$` field:
//! `{"$bytes": "68 65 78"}`, `{"$float": "inf"}`, `{"$hash": [[k, v], ..]}`, `{"$set": [..]}`, `{"$zset": [[score, m], ..]}`.

use super::{Bytes, Hash, Set, SortedSet, Value};
use crate::KvError;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The value as JSON. An object field that begins with `$` is written with one more.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) if value.is_finite() => json!(value),
        Value::Float(value) => json!({ "$float": value.to_string() }),
        Value::String(text) => json!(&**text),
        Value::Bytes(bytes) => json!({ "$bytes": hex(bytes) }),
        Value::List(list) => Json::Array(list.iter().map(to_json).collect()),
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| {
                let escape = if name.starts_with('$') { "$" } else { "" };
                (format!("{escape}{name}"), to_json(value))
            });
            Json::Object(fields.collect())
        }
        Value::Hash(hash) => {
            let fields = hash.iter().map(|(name, value)| json!([text(name), text(value)]));
            json!({ "$hash": fields.collect::<Vec<_>>() })
        }
        Value::Set(set) => json!({ "$set": set.iter().map(|member| text(member)).collect::<Vec<_>>() }),
        Value::SortedSet(set) => {
            let members = set
                .iter()
                .map(|(score, member)| json!([to_json(&Value::Float(score)), text(member)]));
            json!({ "$zset": members.collect::<Vec<_>>() })
        }
    }
}

/// The value that the JSON stands for. Whole numbers that fit become integers.
///
/// # Errors
/// [`KvError::Argument`] for a `$` field that is not one of those that [`to_json`] writes.
pub fn from_json(json: &Json) -> Result<Value, KvError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::list(items.iter().map(from_json).collect::<Result<Vec<_>, _>>()?),
        Json::Object(fields) => object(fields)?,
    })
}

fn object(fields: &Map<String, Json>) -> Result<Value, KvError> {
    let special = fields
        .iter()
        .find(|(name, _)| name.starts_with('$') && !name.starts_with("$$"));
    if let Some((name, json)) = special {
        return tagged(name, json).ok_or_else(|| KvError::Argument {
            operation: "json",
            reason: format!("`{name}` with {json} is not a value"),
        });
    }
    let fields = fields.iter().map(|(name, json)| {
        let name: Arc<str> = name.strip_prefix('$').unwrap_or(name).into();
        Ok((name, from_json(json)?))
    });
    Ok(Value::object(fields.collect::<Result<Vec<_>, KvError>>()?))
}

fn tagged(name: &str, json: &Json) -> Option<Value> {
    Some(match name {
        "$bytes" => Value::Bytes(unhex(json.as_str()?)?.into()),
        "$float" => {
            let number: f64 = json.as_str()?.parse().ok()?;
            (!number.is_nan()).then_some(Value::Float(number))?
        }
        "$hash" => {
            let mut hash = Hash::default();
            for pair in json.as_array()? {
                let [name, value] = pair.as_array()?.as_slice() else {
                    return None;
                };
                hash.put(bytes(name)?, bytes(value)?);
            }
            Value::Hash(Arc::new(hash))
        }
        "$set" => {
            let mut set = Set::default();
            for member in json.as_array()? {
                set.add(bytes(member)?);
            }
            Value::Set(Arc::new(set))
        }
        "$zset" => {
            let mut set = SortedSet::default();
            for pair in json.as_array()? {
                let [score, member] = pair.as_array()?.as_slice() else {
                    return None;
                };
                let score = match from_json(score).ok()? {
                    Value::Float(score) => score,
                    Value::Int(score) => score as f64,
                    _ => return None,
                };
                set.put(score, bytes(member)?);
            }
            Value::SortedSet(Arc::new(set))
        }
        _ => return None,
    })
}

/// Bytes as text if they are text, else as `{"$bytes": hex}`.
pub(crate) fn text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "$bytes": hex(bytes) }),
    }
}

/// The inverse of [`text`].
pub(crate) fn bytes(json: &Json) -> Option<Bytes> {
    match json {
        Json::String(text) => Some(text.as_bytes().into()),
        Json::Object(fields) => Some(unhex(fields.get("$bytes")?.as_str()?)?.into()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    text.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
