//! JSON as the port writes it: in one pass, from names, numbers and texts.
//!
//! Keys are the port's own and need no escaping; texts are escaped, and come back as they were. Used by `report` and `locks`.

use std::fmt::Write;

/// A JSON text in the making.
#[derive(Default)]
pub(crate) struct Json {
    text: String,
}

impl Json {
    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn comma(&mut self) {
        if !self.text.ends_with(['{', '[', ':']) && !self.text.is_empty() {
            self.text.push(',');
        }
    }

    pub(crate) fn key(&mut self, key: &str) {
        self.comma();
        // Writing to a String cannot fail.
        let _ = write!(self.text, "\"{key}\":");
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.comma();
        let _ = write!(self.text, "{number}");
    }

    pub(crate) fn numbers(&mut self, numbers: &[(&str, u64)]) {
        for (key, number) in numbers {
            self.key(key);
            let _ = write!(self.text, "{number}");
        }
    }

    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.text.push_str(if flag { "true" } else { "false" });
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.text.extend(['\\', character]),
                // Writing to a String cannot fail.
                control @ '\0'..' ' => drop(write!(self.text, "\\u{:04x}", control as u32)),
                plain => self.text.push(plain),
            }
        }
        self.text.push('"');
    }

    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.comma();
        self.text.push('{');
        fields(self);
        self.text.push('}');
    }

    pub(crate) fn array(&mut self, len: usize, mut item: impl FnMut(&mut Self, usize)) {
        self.comma();
        self.text.push('[');
        for at in 0..len {
            item(self, at);
        }
        self.text.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn commas_and_escapes_are_where_json_wants_them() {
        let mut json = Json::default();
        json.object(|json| {
            json.numbers(&[("a", 1), ("b", u64::MAX)]);
            json.text("c", "say \"x\"\\\n");
            json.key("d");
            json.array(3, |json, at| json.number(at as u64));
            json.key("e");
            json.array(2, |json, _| json.object(|json| json.numbers(&[("f", 0)])));
            json.key("g");
            json.array(0, |_, _| {});
        });
        let expected = r#"{"a":1,"b":18446744073709551615,"c":"say \"x\"\\\u000a","d":[0,1,2],"e":[{"f":0},{"f":0}],"g":[]}"#;
        assert_eq!(json.text, expected);
    }
}
