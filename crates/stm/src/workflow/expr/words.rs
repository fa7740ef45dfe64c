//! The words of an expression: names and paths, numbers, text, symbols. What is none of them is refused.

use super::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, with the names that dots join to it.
    Path,
    Number,
    Text,
    Symbol,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// The character at which it begins.
    pub(super) at: usize,
}

const SYMBOLS: [&str; 25] = [
    "**", "==", "!=", "<=", ">=", "&&", "||", "??", "//", "=>", "..", "+", "-", "*", "/", "%", "<", ">", "!",
    "(", ")", "[", "]", "{", "}",
];

pub(super) fn refuse(
    at: usize,
    width: usize,
    message: impl Into<String>,
    suggestion: Option<String>,
) -> Refusal {
    Refusal {
        at,
        width: width.max(1),
        message: message.into(),
        suggestion,
    }
}

/// Rhai's `'x'` is one character; here it is text, as in Python and YAML.
pub(super) fn double_quoted(text: &str) -> String {
    if text.starts_with('"') {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let inner = &text[1..text.len() - 1];
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => match characters.next() {
                Some('\'') => quoted.push('\''),
                Some(other) => quoted.extend(['\\', other]),
                None => {}
            },
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

pub(super) fn split(source: &str) -> Result<Vec<Word<'_>>, Refusal> {
    let mut words = Vec::new();
    let mut rest = source;
    let mut at = 0;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else {
            let (kind, length) = word(rest, first, at, words.last())?;
            words.push(Word {
                kind,
                text: &rest[..length],
                at,
            });
            length
        };
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    Ok(words)
}

/// The kind of the word at the start of `rest`, and its bytes.
fn word(rest: &str, first: char, at: usize, before: Option<&Word<'_>>) -> Result<(Kind, usize), Refusal> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let run = |text: &str, good: &dyn Fn(char) -> bool| text.find(|c| !good(c)).unwrap_or(text.len());
    if first.is_ascii_digit() {
        let mut length = run(rest, &|c| c.is_ascii_alphanumeric() || c == '_');
        let fraction = rest[length..].strip_prefix('.');
        if let Some(fraction) = fraction.filter(|f| f.starts_with(|c: char| c.is_ascii_digit())) {
            length += 1 + run(fraction, &|c| c.is_ascii_alphanumeric());
        }
        let exponent = rest[..length].ends_with(['e', 'E']) && !rest.starts_with("0x");
        if exponent && rest[length..].starts_with(['+', '-']) {
            length += 1 + run(&rest[length + 1..], &|c| c.is_ascii_digit());
        }
        return Ok((Kind::Number, length));
    }
    if first.is_alphabetic() || first == '_' {
        let mut length = run(rest, &is_name);
        while let Some(name) = rest[length..].strip_prefix('.') {
            if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                break;
            }
            length += 1 + run(name, &is_name);
        }
        return Ok((Kind::Path, length));
    }
    if matches!(first, '"' | '\'') {
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\n' => break,
                c if c == first => return Ok((Kind::Text, index + 1)),
                _ => {}
            }
        }
        return Err(refuse(
            at,
            1,
            "text that is not closed",
            Some(format!("end it with `{first}`")),
        ));
    }
    if first == '.' && before.is_some_and(|word| matches!(word.text, "]" | ")")) {
        // A part of what an index or a call answers.
        let name = run(&rest[1..], &is_name);
        return Ok((Kind::Symbol, 1 + name));
    }
    if first == ',' {
        return Ok((Kind::Symbol, 1));
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(&symbol) if !matches!(symbol, "=>" | "..") => Ok((Kind::Symbol, symbol.len())),
        _ if first == '=' => Err(refuse(
            at,
            1,
            "an expression assigns nothing",
            Some("compare with `==`".into()),
        )),
        _ if first == '&' => Err(refuse(at, 1, "`&` is unknown", Some("both: `&&`".into()))),
        _ if first == '|' => Err(refuse(at, 1, "`|` is unknown", Some("either: `||`".into()))),
        _ if first == '?' => {
            let suggestion = "`c ? a : b` is written `if c { a } else { b }`".into();
            Err(refuse(at, 1, "`?` is unknown", Some(suggestion)))
        }
        _ => Err(refuse(
            at,
            1,
            format!("`{first}` is not part of an expression"),
            None,
        )),
    }
}
