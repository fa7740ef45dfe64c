//! JSON text to a value, exactly or not at all.
//!
//! An integer beyond 64 bits would become the nearest double without a word, so it is looked for and refused. Nesting is
//! bounded by the parser. Called by ports and by import.

use crate::TreeError;
use serde_json::Value;

/// Reads one JSON document.
///
/// ```
/// use quintet_tree::parse_json;
/// assert_eq!(parse_json(b"[9007199254740993]")?.to_string(), "[9007199254740993]");
/// let error = parse_json(b"{\n \"a\": }").unwrap_err();
/// assert_eq!(error.to_string(), "expected value at line 2 column 7");
/// # Ok::<(), quintet_tree::TreeError>(())
/// ```
///
/// # Errors
/// [`TreeError::Json`] with line and column: text that is not JSON, more than 127 levels, a number beyond a double, an
/// integer beyond 64 bits.
pub fn parse_json(text: &[u8]) -> Result<Value, TreeError> {
    let value = serde_json::from_slice(text).map_err(|error| {
        let said = error.to_string();
        let fault = said.split(" at line ").next().unwrap_or(&said).to_owned();
        TreeError::Json {
            fault,
            line: error.line(),
            column: error.column(),
        }
    })?;
    match inexact_integer(text) {
        None => Ok(value),
        Some(at) => {
            let before = &text[..at];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = at
                - before
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |newline| newline + 1)
                + 1;
            let fault =
                "an integer beyond 64 bits cannot be kept exactly; send it as text or with an exponent"
                    .into();
            Err(TreeError::Json { fault, line, column })
        }
    }
}

/// Where an integer begins that is beyond 64 bits. `text` is valid JSON.
fn inexact_integer(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = after_string(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let len = text[at..]
                    .iter()
                    .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                    .unwrap_or(text.len() - at);
                let number = &text[at..at + len];
                // 18 digits always fit.
                if len > 18 && number.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) {
                    let number = std::str::from_utf8(number).unwrap_or_default();
                    if number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                        return Some(at);
                    }
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    None
}

/// Behind the quote that ends a string.
fn after_string(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_that_cannot_be_kept_is_refused_with_its_place() {
        let said = |text: &str| parse_json(text.as_bytes()).unwrap_err().to_string();
        assert!(said("{\"a\":\n  18446744073709551616}").ends_with("at line 2 column 3"));
        assert!(said("-9223372036854775809").ends_with("at line 1 column 1"));
        for fine in [
            "18446744073709551615",
            "-9223372036854775808",
            "1e30",
            "\"18446744073709551616\\\"99999999999999999999\"",
        ] {
            assert!(parse_json(fine.as_bytes()).is_ok(), "{fine}");
        }
    }

    #[test]
    fn bombs_and_half_documents_are_refused() {
        for bad in ["", "{", "[1,]", "1 2", "{\"a\":1e999}", "nul", "\"\\ud800\""] {
            assert!(parse_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse_json("[".repeat(100_000).as_bytes()).is_err());
    }
}
