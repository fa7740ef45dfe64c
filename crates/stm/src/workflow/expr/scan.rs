//! Reading an expression word by word: admits the language, names what it does not know and how to write it instead, and
//! turns each path into a variable.

use super::{
    FUNCTIONS, Refusal,
    words::{Kind, Word, double_quoted, refuse, split},
};
use crate::yaml::closest;

/// The most different places at which an expression reads a path.
const MAX_VARIABLES: usize = 64;

/// The text that is evaluated, and where each of its words stood in the original.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) text: String,
    /// Character in `text`, character in the original; ascending.
    marks: Vec<(usize, usize)>,
    characters: usize,
}

impl Scanned {
    fn push(&mut self, word: &str, at: usize) {
        self.marks.push((self.characters, at));
        self.text.push_str(word);
        self.characters += word.chars().count();
    }

    /// Where in the original a line and column of `text` are.
    pub(super) fn original(&self, line: usize, column: usize) -> usize {
        let before: usize = self
            .text
            .split('\n')
            .take(line.saturating_sub(1))
            .map(|line| line.chars().count() + 1)
            .sum();
        let at = before + column.saturating_sub(1);
        let mark = self.marks.partition_point(|(rewritten, _)| *rewritten <= at);
        match mark.checked_sub(1).map(|mark| self.marks[mark]) {
            // A word that was rewritten has its end elsewhere; its beginning is what counts.
            Some((_, original)) => original,
            None => 0,
        }
    }
}

/// What a variable is called.
pub(super) fn variable(at: usize) -> String {
    format!("v{at}")
}

/// Scans an expression. Answers the text to evaluate, and for each variable the path and whether it may be missing.
pub(super) fn scan(source: &str) -> Result<(Scanned, Vec<(String, bool)>), Refusal> {
    let words = split(source)?;
    if words.is_empty() {
        return Err(refuse(0, 1, "the expression is empty", None));
    }
    python(source, &words)?;
    compared_twice(&words)?;
    let mut scanned = Scanned::default();
    let mut variables: Vec<(String, bool)> = Vec::new();
    let mut end = 0;
    for (index, word) in words.iter().enumerate() {
        // Spaces and line breaks stay, so that positions do.
        let gap: String = source.chars().skip(end).take(word.at - end).collect();
        scanned.push(&gap, end);
        end = word.at + word.text.chars().count();
        match word.kind {
            Kind::Text => scanned.push(&double_quoted(word.text), word.at),
            Kind::Path => {
                let before = index.checked_sub(1).map(|before| words[before]);
                let after = words.get(index + 1);
                let text = path(word, before, after, &words[..index], &mut variables)?;
                scanned.push(&text, word.at);
            }
            Kind::Number | Kind::Symbol => scanned.push(word.text, word.at),
        }
    }
    Ok((scanned, variables))
}

fn refuse_word(word: &Word<'_>, message: impl Into<String>, suggestion: impl Into<String>) -> Refusal {
    refuse(
        word.at,
        word.text.chars().count(),
        message,
        Some(suggestion.into()),
    )
}

/// A name or path: a constant, a function, or something to read.
fn path(
    word: &Word<'_>,
    before: Option<Word<'_>>,
    after: Option<&Word<'_>>,
    earlier: &[Word<'_>],
    variables: &mut Vec<(String, bool)>,
) -> Result<String, Refusal> {
    let is = |word: Option<&Word<'_>>, symbol: &str| word.is_some_and(|word| word.text == symbol);
    if is(after, "(") {
        return function(word);
    }
    match word.text {
        "true" | "false" | "if" | "else" | "in" => return Ok(word.text.to_owned()),
        "null" => return Ok("()".to_owned()),
        "let" | "const" | "while" | "loop" | "for" | "do" | "until" | "fn" | "return" | "throw" | "try"
        | "catch" | "switch" | "import" | "export" | "as" | "break" | "continue" | "private" | "this"
        | "global" | "static" | "async" | "await" | "yield" | "var" | "match" | "case" | "default"
        | "new" | "use" | "with" | "module" | "package" | "super" | "thread" | "spawn" | "sync" | "go"
        | "exit" | "void" | "nil" | "shared" | "public" | "protected" | "goto" | "type_of" | "print"
        | "debug" | "eval" | "Fn" | "call" | "curry" | "is_def_fn" | "is_def_var" | "is_shared" => {
            return Err(refuse(
                word.at,
                word.text.chars().count(),
                format!("`{}` is not part of an expression", word.text),
                None,
            ));
        }
        _ => {}
    }
    let optional = is(before.as_ref(), "(")
        && earlier
            .len()
            .checked_sub(2)
            .is_some_and(|at| matches!(earlier[at].text, "has" | "get"))
        && matches!(after.map(|word| word.text), Some(")" | ","));
    if let Err(error) = crate::Path::new(word.text) {
        return Err(refuse(
            word.at,
            word.text.chars().count(),
            error.to_string(),
            None,
        ));
    }
    let known = variables
        .iter()
        .position(|(path, known)| path == word.text && *known == optional);
    let at = match known {
        Some(at) => at,
        None if variables.len() == MAX_VARIABLES => {
            let message = format!("the expression reads more than {MAX_VARIABLES} paths");
            return Err(refuse(word.at, word.text.chars().count(), message, None));
        }
        None => {
            variables.push((word.text.to_owned(), optional));
            variables.len() - 1
        }
    };
    Ok(variable(at))
}

fn function(word: &Word<'_>) -> Result<String, Refusal> {
    if FUNCTIONS.contains(&word.text) {
        return Ok(word.text.to_owned());
    }
    let message = format!("there is no function `{}`", word.text);
    Err(match word.text.rsplit_once('.') {
        Some((of, "get")) => refuse_word(word, message, format!("write `get({of}.name, default)`")),
        Some((of, "append" | "add")) => refuse_word(word, message, format!("write `{of} + [item]`")),
        Some((of, name)) if FUNCTIONS.contains(&name) => {
            refuse_word(word, message, format!("write `{name}({of})`"))
        }
        _ => match closest(word.text, FUNCTIONS) {
            Some(close) => refuse_word(word, message, format!("did you mean `{close}`?")),
            None => refuse_word(word, message, format!("known are {}", FUNCTIONS.join(", "))),
        },
    })
}

/// What Python writes otherwise.
fn python(source: &str, words: &[Word<'_>]) -> Result<(), Refusal> {
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1);
        let ends_operand = |word: &Word<'_>| {
            matches!(word.kind, Kind::Number | Kind::Text)
                || matches!(word.text, ")" | "]")
                || (word.kind == Kind::Path
                    && !matches!(word.text, "if" | "else" | "in" | "and" | "or" | "not"))
        };
        let python = "this is Python, not this language";
        let rewrite = match word.text {
            "and" => "`a and b` is written `a && b`".to_owned(),
            "or" => "`a or b` is written `a || b`".to_owned(),
            "not" if next.is_some_and(|next| next.text == "in") => {
                "`a not in b` is written `!(a in b)`".to_owned()
            }
            "not" => "`not a` is written `!a`".to_owned(),
            "is" => "`a is b` is written `a == b`, `a is not b` is written `a != b`".to_owned(),
            "True" => "`True` is written `true`".to_owned(),
            "False" => "`False` is written `false`".to_owned(),
            "None" => "`None` is written `null`".to_owned(),
            "lambda" => "there are no functions of your own; write a process in Rust".to_owned(),
            "for" => "there are no loops; use `while` in the workflow, or a process".to_owned(),
            "//" => "`a // b` is written `a / b`, which is whole if both are".to_owned(),
            "if" if at > 0 && ends_operand(&words[at - 1]) => conditional(source, words, at),
            "f" | "r" | "b" if next.is_some_and(|next| next.kind == Kind::Text && next.at == word.at + 1) => {
                "`f\"{a} b\"` is written `str(a) + \" b\"`".to_owned()
            }
            "domain" | "ctx" | "signal" | "cmd" | "global" if next.is_some_and(|next| next.text == "[") => {
                let name = words.get(at + 2).map_or("name", |word| word.text);
                let name = name.trim_matches(['"', '\'']);
                format!("`{0}['{name}']` is written `{0}.{name}`", word.text)
            }
            _ => continue,
        };
        return Err(refuse_word(word, python, rewrite));
    }
    Ok(())
}

/// `a if c else b`, rewritten with its own words.
fn conditional(source: &str, words: &[Word<'_>], at: usize) -> String {
    let slice = |from: usize, to: usize| {
        let text: String = source.chars().skip(from).take(to.saturating_sub(from)).collect();
        text.trim().to_owned()
    };
    let start = words[at].at;
    let otherwise = words[at..].iter().find(|word| word.text == "else");
    match otherwise {
        Some(word) => format!(
            "write `if {} {{ {} }} else {{ {} }}`",
            slice(start + 2, word.at),
            slice(0, start),
            slice(word.at + 4, usize::MAX)
        ),
        None => "`a if c else b` is written `if c { a } else { b }`".to_owned(),
    }
}

/// `a < b < c` would compare a truth value with `c`.
fn compared_twice(words: &[Word<'_>]) -> Result<(), Refusal> {
    // For each open bracket: whether there was a comparison that nothing has ended yet.
    let mut open = vec![false];
    for word in words.iter() {
        match word.text {
            "(" | "[" | "{" => open.push(false),
            ")" | "]" | "}" => {
                open.pop();
                if open.is_empty() {
                    return Err(refuse(
                        word.at,
                        1,
                        format!("`{}` closes nothing", word.text),
                        None,
                    ));
                }
            }
            "&&" | "||" | "," | "??" | "if" | "else" => {
                if let Some(last) = open.last_mut() {
                    *last = false;
                }
            }
            "<" | "<=" | ">" | ">=" | "==" | "!=" => {
                let Some(last) = open.last_mut() else { continue };
                if std::mem::replace(last, true) {
                    let message = "two comparisons in a row";
                    return Err(refuse_word(
                        word,
                        message,
                        "`a < b < c` is written `a < b && b < c`",
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
