//! Between the values of a context and those of the evaluator.

use crate::Value;
use rhai::{Array, Blob, Dynamic, ImmutableString, Map};
use std::collections::BTreeMap;

/// A value for the evaluator. Lists and maps are copied, so their size is limited.
pub(super) fn to_dynamic(value: &Value, limit_bytes: usize) -> Result<Dynamic, String> {
    match value.size_bytes() {
        Some(size) if size <= limit_bytes => Ok(convert(value)),
        Some(size) => Err(format!("{size} bytes, an expression reads at most {limit_bytes}")),
        None => Err("it nests too deep".into()),
    }
}

fn convert(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(set) => Dynamic::from(*set),
        Value::Int(number) => Dynamic::from(*number),
        Value::Float(number) => Dynamic::from(*number),
        Value::Str(text) => Dynamic::from(ImmutableString::from(&**text)),
        Value::Bytes(bytes) => Dynamic::from_blob(Blob::clone(bytes)),
        Value::List(list) => Dynamic::from_array(list.iter().map(convert).collect()),
        Value::Map(map) => {
            let map = map
                .iter()
                .map(|(name, item)| (name.as_str().into(), convert(item)));
            Dynamic::from_map(map.collect())
        }
    }
}

/// What an expression answered.
pub(super) fn to_value(value: &Dynamic) -> Result<Value, String> {
    back(value, 0)
}

fn back(value: &Dynamic, depth: usize) -> Result<Value, String> {
    if depth > Value::MAX_DEPTH {
        return Err("the answer nests too deep".into());
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(set) = value.as_bool() {
        return Ok(Value::Bool(set));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = value.as_float() {
        return Ok(Value::Float(number));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Value::from(text.as_str()));
    }
    if let Some(list) = value.read_lock::<Array>() {
        let items: Result<Vec<_>, _> = list.iter().map(|item| back(item, depth + 1)).collect();
        return items.map(Value::from);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let items: Result<BTreeMap<_, _>, _> = map
            .iter()
            .map(|(name, item)| Ok::<_, String>((name.to_string(), back(item, depth + 1)?)))
            .collect();
        return items.map(Value::from);
    }
    if let Some(bytes) = value.read_lock::<Blob>() {
        return Ok(Value::from(bytes.clone()));
    }
    Err("the answer is no value".into())
}
