//! From an expression's text to tokens, one at a time, each with the offset where it began.
//!
//! A `/` is a division or the beginning of a pattern: the parser, which knows what it expects, asks for the pattern with
//! [`Lexer::pattern`].

use super::error::Fault;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    String(String),
    /// A word or `$word`.
    Name(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// Longest first, so that `===` is not read as `==` and `=`.
const SYMBOLS: [&str; 26] = [
    "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(",
    ")", "[", "]", ",", ".", "=", "&",
];

/// A place in an expression's text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    /// The next token and where it began.
    pub(super) fn next(&mut self) -> Result<(usize, Token), Fault> {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start().len();
        let start = self.offset;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((start, Token::End));
        };
        let token = match first {
            '0'..='9' => self.number()?,
            '\'' | '"' => self.string(first)?,
            '$' | '_' | 'a'..='z' | 'A'..='Z' => self.name(),
            _ => self.symbol(first)?,
        };
        Ok((start, token))
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let rest = self.rest();
        let digits = |from: usize| {
            rest[from..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(rest.len(), |length| from + length)
        };
        let mut end = digits(0);
        if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            end = digits(end + 1);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let text = &rest[..end];
        let number: f64 = text
            .parse()
            .map_err(|_| Fault::new(self.offset, format!("`{text}` is not a number")))?;
        if rest[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            return Err(Fault::new(
                self.offset,
                format!("a number runs into a word after `{text}`"),
            ));
        }
        self.offset += end;
        Ok(Token::Number(number))
    }

    fn string(&mut self, quote: char) -> Result<Token, Fault> {
        let start = self.offset;
        let mut out = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.offset += at + 1;
                return Ok(Token::String(out));
            }
            if character != '\\' {
                out.push(character);
                continue;
            }
            let Some((_, escaped)) = characters.next() else {
                break;
            };
            out.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' | '\'' | '"' | '/' => escaped,
                'u' => {
                    let code: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    u32::from_str_radix(&code, 16)
                        .ok()
                        .filter(|_| code.len() == 4)
                        .and_then(char::from_u32)
                        .ok_or_else(|| {
                            Fault::new(start + at, "`\\u` needs four hexadecimal digits of one character")
                        })?
                }
                other => {
                    return Err(Fault::new(
                        start + at,
                        format!("`\\{other}` is not an escape; known are \\n \\t \\r \\\\ \\' \\\" \\uXXXX"),
                    ));
                }
            });
        }
        Err(Fault::new(start, format!("this string has no closing {quote}")))
    }

    fn name(&mut self) -> Token {
        let rest = self.rest();
        let end = rest[1..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(rest.len(), |length| length + 1);
        self.offset += end;
        Token::Name(rest[..end].to_owned())
    }

    fn symbol(&mut self, first: char) -> Result<Token, Fault> {
        let rest = self.rest();
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        match symbol {
            Some(&"=") => Err(Fault::new(
                self.offset,
                "`=` assigns nothing here; compare with `==`",
            )),
            Some(&"&") => Err(Fault::new(self.offset, "`&` is not an operator; write `&&`")),
            Some(symbol) => {
                self.offset += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None if first == '|' => Err(Fault::new(self.offset, "`|` is not an operator; write `||`")),
            None => Err(Fault::new(
                self.offset,
                format!("`{first}` means nothing in an expression"),
            )),
        }
    }

    /// The pattern whose opening `/` was the last token: what stands between the slashes, and the flags.
    pub(super) fn pattern(&mut self, start: usize) -> Result<(String, String), Fault> {
        let mut in_class = false;
        let mut escaped = false;
        for (at, character) in self.rest().char_indices() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => in_class = true,
                ']' => in_class = false,
                '/' if !in_class => {
                    let source = self.rest()[..at].to_owned();
                    self.offset += at + 1;
                    let rest = self.rest();
                    let length = rest
                        .find(|c: char| !c.is_ascii_alphabetic())
                        .unwrap_or(rest.len());
                    self.offset += length;
                    return Ok((source, rest[..length].to_owned()));
                }
                _ => {}
            }
        }
        Err(Fault::new(start, "this pattern has no closing /"))
    }
}
