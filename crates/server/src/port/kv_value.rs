//! The datastore's values as JSON on the API port: as [`quintet_kv::to_json`] writes them, but that bytes which are text are
//! shown as text. What a Redis client stored reads as it was typed.

use super::problem::Problem;
use quintet_kv::Value;
use serde_json::Value as Json;

/// JSON of a value, bytes that are text shown as text.
pub(super) fn shown(value: &Value) -> Json {
    readable(quintet_kv::to_json(value))
}

fn readable(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(readable).collect()),
        Json::Object(fields) => {
            if let (1, Some(Json::String(hex))) = (fields.len(), fields.get("$bytes"))
                && let Some(text) = text_of(hex)
            {
                return Json::String(text);
            }
            Json::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, readable(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

fn text_of(hex: &str) -> Option<String> {
    let pairs = hex.as_bytes().chunks_exact(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The value that JSON stands for.
pub(super) fn value(json: &Json) -> Result<Value, Problem> {
    quintet_kv::from_json(json).map_err(|error| quintet_core::Error::from(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text() {
        assert_eq!(shown(&Value::from(&b"hello"[..])), json!("hello"));
        assert_eq!(shown(&Value::from(&b"\xff\x00"[..])), json!({ "$bytes": "ff00" }));
        let list = Value::list([Value::from(&b"a"[..]), Value::Int(1)]);
        assert_eq!(shown(&list), json!(["a", 1]));
        let back = value(&json!({ "$bytes": "ff00" })).expect("a value");
        assert_eq!(back, Value::from(&b"\xff\x00"[..]));
    }
}
