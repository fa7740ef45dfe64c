//! The one form of a document: as it is read back after it was written.
//!
//! Nulls and empty containers are left out. Arrays are objects whose names are numbers; such an object becomes an array
//! again when more than half of the places up to its last one are taken, as Firebase does. Server values are replaced here.
//! Called for each write, by the writer.

use crate::{MAX_PATH_DEPTH, NameRules, Path, TreeError, path::key};
use serde_json::{Map, Number, Value};

/// The name that marks a server value.
const SERVER_VALUE: &str = ".sv";

/// What a document may contain, and what server values become.
pub(crate) struct Rules<'a> {
    pub(crate) names: NameRules,
    pub(crate) max_depth: usize,
    pub(crate) max_text_bytes: usize,
    pub(crate) now_ms: u64,
    /// The number that is at a place now, for increments.
    pub(crate) current: &'a dyn Fn(&Path) -> Result<Option<Number>, TreeError>,
}

/// The form in which `value` is stored at `path`.
pub(crate) fn canonical(value: Value, path: &Path, rules: &Rules<'_>) -> Result<Value, TreeError> {
    canonical_at(
        value,
        &mut Place {
            path,
            below: Vec::new(),
        },
        rules,
    )
}

/// The place within a document, in names from `path` on.
struct Place<'a> {
    path: &'a Path,
    below: Vec<String>,
}

impl Place<'_> {
    fn path(&self) -> Path {
        let mut bytes = self.path.bytes().to_vec();
        for name in &self.below {
            key::push(&mut bytes, name);
        }
        Path::from_bytes(bytes)
    }

    fn fault(&self, fault: impl Into<String>) -> TreeError {
        TreeError::Value {
            path: self.path(),
            fault: fault.into(),
        }
    }
}

fn canonical_at(value: Value, place: &mut Place<'_>, rules: &Rules<'_>) -> Result<Value, TreeError> {
    match value {
        Value::String(text) if text.len() > rules.max_text_bytes => Err(TreeError::TooLarge {
            what: "a text in bytes",
            len: text.len() as u64,
            max: rules.max_text_bytes as u64,
        }),
        Value::Object(map) => match server_value(&map) {
            Some(what) => resolve(what, place, rules),
            None => object(map, place, rules),
        },
        Value::Array(items) => {
            let mut map = Map::new();
            check_depth(place, rules)?;
            for (index, item) in items.into_iter().enumerate() {
                if !item.is_null() {
                    let item = below(index.to_string(), item, place, rules)?;
                    if !item.is_null() {
                        map.insert(index.to_string(), item);
                    }
                }
            }
            Ok(collapse(map))
        }
        scalar => Ok(scalar),
    }
}

fn object(map: Map<String, Value>, place: &mut Place<'_>, rules: &Rules<'_>) -> Result<Value, TreeError> {
    check_depth(place, rules)?;
    let mut kept = Map::new();
    for (name, value) in map {
        rules.names.check(&name)?;
        let value = below(name.clone(), value, place, rules)?;
        if !value.is_null() {
            kept.insert(name, value);
        }
    }
    Ok(collapse(kept))
}

fn below(name: String, value: Value, place: &mut Place<'_>, rules: &Rules<'_>) -> Result<Value, TreeError> {
    place.below.push(name);
    let value = canonical_at(value, place, rules)?;
    place.below.pop();
    Ok(value)
}

fn check_depth(place: &Place<'_>, rules: &Rules<'_>) -> Result<(), TreeError> {
    let depth = place.path.depth() + place.below.len() + 1;
    let max = rules.max_depth.min(MAX_PATH_DEPTH);
    if depth > max {
        return Err(TreeError::TooDeep { depth, max });
    }
    Ok(())
}

/// What a server value asks for.
fn server_value(map: &Map<String, Value>) -> Option<&Value> {
    (map.len() == 1).then(|| map.get(SERVER_VALUE)).flatten()
}

fn resolve(what: &Value, place: &Place<'_>, rules: &Rules<'_>) -> Result<Value, TreeError> {
    if what.as_str() == Some("timestamp") {
        return Ok(Value::from(rules.now_ms));
    }
    if let Value::Object(map) = what
        && map.len() == 1
        && let Some(Value::Number(delta)) = map.get("increment")
    {
        let current = (rules.current)(&place.path())?;
        let sum = match &current {
            None => Some(delta.clone()),
            Some(current) => super::scalar::sum(current, delta),
        };
        return sum
            .map(Value::Number)
            .ok_or_else(|| place.fault("the sum is beyond a double"));
    }
    Err(place.fault(r#"a server value is {".sv":"timestamp"} or {".sv":{"increment":NUMBER}}"#))
}

/// An object as it is read: null when it is empty, an array when its names are places in one.
pub(crate) fn collapse(map: Map<String, Value>) -> Value {
    if map.is_empty() {
        return Value::Null;
    }
    let Some(len) = array_len(&map) else {
        return Value::Object(map);
    };
    let mut items = vec![Value::Null; len];
    for (name, value) in map {
        if let Some(item) = name.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            *item = value;
        }
    }
    Value::Array(items)
}

fn array_len(map: &Map<String, Value>) -> Option<usize> {
    let mut last = 0;
    for name in map.keys() {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || (name.len() > 1 && name.starts_with('0')) {
            return None;
        }
        last = last.max(name.parse::<i32>().ok()? as usize);
    }
    (last < 2 * map.len()).then_some(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(value: Value) -> Result<Value, TreeError> {
        let rules = Rules {
            names: NameRules::Firebase,
            max_depth: 8,
            max_text_bytes: 10,
            now_ms: 1234,
            current: &|path| Ok((path.to_string() == "/at/n").then(|| Number::from(40))),
        };
        canonical(value, &Path::parse("at").unwrap(), &rules)
    }

    #[test]
    fn empty_containers_and_nulls_are_not_there() {
        assert_eq!(
            plain(json!({"a": {}, "b": [], "c": {"d": null}, "e": [null, {}]})).unwrap(),
            json!(null)
        );
        assert_eq!(
            plain(json!({"a": {"b": null, "c": 1}})).unwrap(),
            json!({"a": {"c": 1}})
        );
    }

    #[test]
    fn arrays_are_objects_with_numbers_for_names() {
        assert_eq!(plain(json!([1, null, 3])).unwrap(), json!([1, null, 3]));
        assert_eq!(plain(json!({"0": "a", "1": "b"})).unwrap(), json!(["a", "b"]));
        assert_eq!(plain(json!([null, null, null, "x"])).unwrap(), json!({"3": "x"}));
        assert_eq!(plain(json!({"01": 1, "1": 2})).unwrap(), json!({"01": 1, "1": 2}));
        assert_eq!(plain(json!({"4294967296": 1})).unwrap(), json!({"4294967296": 1}));
    }

    #[test]
    fn server_values_become_what_they_stand_for() {
        let value = json!({"t": {".sv": "timestamp"}, "n": {".sv": {"increment": 2}}, "m": {".sv": {"increment": 0.5}}});
        assert_eq!(plain(value).unwrap(), json!({"t": 1234, "n": 42, "m": 0.5}));
        for bad in [
            json!({".sv": "time"}),
            json!({".sv": {"increment": "1"}}),
            json!({".sv": 1, "a": 2}),
        ] {
            assert!(plain(bad).is_err());
        }
    }

    #[test]
    fn what_is_too_deep_too_long_or_badly_named_is_refused() {
        assert!(plain(json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}})).is_ok());
        assert!(plain(json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}})).is_err());
        assert!(plain(json!("01234567890")).is_err());
        for name in ["", "a/b", "a.b", "$a", "#", "[", "]", "\n", "\u{7f}"] {
            assert!(plain(json!({ name: 1 })).is_err(), "{name}");
        }
    }
}
