//! The one form of a document: as it is read back after it was written.
//!
//! Nulls and empty containers are left out. Arrays are objects whose names are numbers; such an object becomes an array
//! again when more than half of the places up to its last one are taken, as Firebase does. Server values are replaced here.
//! Called for each write, by the writer.

use crate::{MAX_PATH_DEPTH, NameRules, Path, TreeError, path::key};
use serde_json::{Map, Number, Value};

/// The name that marks a server value.
const SERVER_VALUE: &str = ".sv";

/// The number that is at a place now.
pub(crate) type Current<'a> = dyn Fn(&Path) -> Result<Option<Number>, TreeError> + 'a;

/// What a document may contain, and what server values become.
pub(crate) struct Rules<'a> {
    pub(crate) names: NameRules,
    pub(crate) max_depth: usize,
    pub(crate) max_text_bytes: usize,
    pub(crate) now_ms: u64,
    /// For increments.
    pub(crate) current: &'a Current<'a>,
}

/// Whether some of it depends on the moment at which it is written. Deeper than any document may be it is not looked for.
pub(crate) fn has_server_values(value: &Value) -> bool {
    fn within(value: &Value, depth: usize) -> bool {
        match value {
            _ if depth > MAX_PATH_DEPTH => false,
            Value::Object(map) => {
                server_value(map).is_some() || map.values().any(|value| within(value, depth + 1))
            }
            Value::Array(items) => items.iter().any(|value| within(value, depth + 1)),
            _ => false,
        }
    }
    within(value, 0)
}

/// The form in which `value` is stored at `path`.
pub(crate) fn canonical(mut value: Value, path: &Path, rules: &Rules<'_>) -> Result<Value, TreeError> {
    let mut place = Place {
        path,
        path_depth: path.depth(),
        below: Vec::new(),
        depth: 0,
    };
    canonical_at(&mut value, &mut place, rules)?;
    Ok(value)
}

/// The place within a document, in names from `path` on.
struct Place<'a> {
    path: &'a Path,
    path_depth: usize,
    /// As the bytes of a path.
    below: Vec<u8>,
    depth: usize,
}

impl Place<'_> {
    fn path(&self) -> Path {
        Path::from_bytes([self.path.bytes(), &self.below].concat())
    }

    fn fault(&self, fault: impl Into<String>) -> TreeError {
        TreeError::Value {
            path: self.path(),
            fault: fault.into(),
        }
    }

    /// Brings a child to its form.
    fn child(
        &mut self,
        push: impl FnOnce(&mut Vec<u8>),
        value: &mut Value,
        rules: &Rules<'_>,
    ) -> Result<(), TreeError> {
        let len = self.below.len();
        push(&mut self.below);
        self.depth += 1;
        canonical_at(value, self, rules)?;
        self.depth -= 1;
        self.below.truncate(len);
        Ok(())
    }
}

fn canonical_at(value: &mut Value, place: &mut Place<'_>, rules: &Rules<'_>) -> Result<(), TreeError> {
    match value {
        Value::String(text) if text.len() > rules.max_text_bytes => {
            return Err(TreeError::TooLarge {
                what: "a text in bytes",
                len: text.len() as u64,
                max: rules.max_text_bytes as u64,
            });
        }
        Value::Object(map) => {
            if let Some(what) = server_value(map) {
                *value = resolve(what, place, rules)?;
                return Ok(());
            }
            check_depth(place, rules)?;
            for (name, item) in map.iter_mut() {
                rules.names.check(name)?;
                place.child(|below| key::push(below, name), item, rules)?;
            }
            map.retain(|_, item| !item.is_null());
            *value = collapse(std::mem::take(map));
        }
        Value::Array(items) => {
            check_depth(place, rules)?;
            for (index, item) in items.iter_mut().enumerate() {
                place.child(|below| key::push_place(below, index), item, rules)?;
            }
            *value = sparse(std::mem::take(items));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// An array as it is read: without nothing at its end, and an object when less than half of it is there.
fn sparse(mut items: Vec<Value>) -> Value {
    let len = items
        .iter()
        .rposition(|item| !item.is_null())
        .map_or(0, |last| last + 1);
    items.truncate(len);
    let taken = items.iter().filter(|item| !item.is_null()).count();
    if is_array(len, taken) {
        return Value::Array(items);
    }
    let named = items.into_iter().enumerate().filter(|(_, item)| !item.is_null());
    collapse(named.map(|(index, item)| (index.to_string(), item)).collect())
}

fn check_depth(place: &Place<'_>, rules: &Rules<'_>) -> Result<(), TreeError> {
    let depth = place.path_depth + place.depth + 1;
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
    is_array(last + 1, map.len()).then_some(last + 1)
}

/// Whether so many taken places make an array of this length: more than half of them.
fn is_array(len: usize, taken: usize) -> bool {
    taken > 0 && len <= 2 * taken
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
