//! Regular expressions of `matches(/…/)`: JavaScript's notation on an engine whose time is linear in the text.
//!
//! The notation is translated where the two differ: `\d`, `\w` and `\b` mean ASCII, and inside a class `[`, `&` and `~` are
//! themselves. Look-around and back-references cannot be matched in linear time and are refused.

use regex::{Regex, RegexBuilder};

/// The most memory that one compiled pattern may take, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Compiles what stands between the slashes, with the flags behind them; only `i` is known.
    ///
    /// # Errors
    /// A sentence that says why the pattern is refused.
    pub(super) fn compile(source: &str, flags: &str) -> Result<Self, String> {
        if let Some(flag) = flags.chars().find(|flag| *flag != 'i') {
            return Err(format!(
                "the flag `{flag}` of a pattern is not known; `i` is the only one"
            ));
        }
        RegexBuilder::new(&translate(source))
            .case_insensitive(flags.contains('i'))
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX)
            .nest_limit(64)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| format!("the pattern /{source}/ is refused: {}", reason(&error)))
    }

    /// Whether the pattern is found anywhere in `text`; `^` and `$` tie it to the ends.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The library's reason without its picture of the pattern, which takes several lines.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("compiled, it is larger than {limit} bytes"),
        other => other
            .to_string()
            .lines()
            .last()
            .unwrap_or("it is not a pattern")
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

/// From JavaScript's notation to the library's.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut characters = source.chars().peekable();
    let mut in_class = false;
    // Whether the last character opened the class: a `-` there is itself, elsewhere it makes a range.
    let mut opened = false;
    while let Some(character) = characters.next() {
        let first = std::mem::take(&mut opened);
        match character {
            '\\' => match characters.next() {
                Some(escaped) => escape(&mut out, escaped, in_class),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                opened = true;
                out.push('[');
                if characters.peek() == Some(&'^') {
                    characters.next();
                    out.push('^');
                }
                // `[]` and `[^]`: JavaScript's empty class and its opposite, which the library would take for a `]`.
                if characters.peek() == Some(&']') {
                    out.push_str("&&");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(character);
            }
            // Two in a row would be the library's difference of classes.
            '-' if in_class && first => out.push_str("\\-"),
            '-' if in_class && characters.peek() == Some(&'-') => {
                characters.next();
                out.push_str("-\\-");
            }
            other => out.push(other),
        }
    }
    out
}

/// What stands behind a backslash.
fn escape(out: &mut String, escaped: char, in_class: bool) {
    match (escaped, in_class) {
        ('d', false) => out.push_str("[0-9]"),
        ('d', true) => out.push_str("0-9"),
        ('D', _) => out.push_str("[^0-9]"),
        ('w', false) => out.push_str("[0-9A-Za-z_]"),
        ('w', true) => out.push_str("0-9A-Za-z_"),
        ('W', _) => out.push_str("[^0-9A-Za-z_]"),
        ('b', false) => out.push_str("(?-u:\\b)"),
        ('B', false) => out.push_str("(?-u:\\B)"),
        ('/', _) => out.push('/'),
        (other, _) => {
            out.push('\\');
            out.push(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_javascripts() {
        for (source, flags, text, expected) in [
            ("^a", "", "abc", true),
            ("^b", "", "abc", false),
            ("c$", "", "abc", true),
            ("c$", "", "abc\n", false),
            ("B", "i", "abc", true),
            ("B", "", "abc", false),
            (r"^\d+$", "", "123", true),
            (r"^\d+$", "", "١٢٣", false),
            (r"^[\d.]+$", "", "1.2", true),
            (r"^\w+$", "", "aé", false),
            (r"^[\w-]+$", "", "a-b_c", true),
            (r"^[^\W]+$", "", "abc", true),
            (r"a\/b", "", "a/b", true),
            (r"^[a&&b]+$", "", "a&b", true),
            (r"^[[a]+$", "", "[a", true),
            (r"^[+--]+$", "", "+,-", true),
            (r"^[--/]+$", "", "-./", true),
            (r"^[-a]+$", "", "a-a", true),
            (r"^.{2,3}$", "", "ab", true),
            (r"^.{2,3}$", "", "abcd", false),
            (r"\bcat\b", "", "a cat.", true),
            (
                r"^[A-Z0-9._%+-]+@[A-Z0-9.-]+\.[A-Z]{2,4}$",
                "i",
                "ada@example.org",
                true,
            ),
            ("^[^]*$", "", "any\nthing", true),
        ] {
            let pattern = Pattern::compile(source, flags).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(pattern.is_match(text), expected, "/{source}/{flags} on {text:?}");
        }
    }

    #[test]
    fn what_needs_more_than_linear_time_is_refused_with_the_reason() {
        for (source, flags, word) in [
            ("(?=a)b", "", "look-around"),
            (r"(a)\1", "", "backreferences"),
            ("(a", "", "unclosed"),
            ("a{1000}{1000}", "", "larger"),
            ("a", "g", "`g`"),
        ] {
            let error = Pattern::compile(source, flags).expect_err(source);
            assert!(error.contains(word), "{source}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
