//! Blanks out what is not code, so that a rule about code is not tripped by a comment or a string.
//!
//! A scanner, not a parser: it knows line and nested block comments, strings with escapes, raw strings, byte strings and
//! character literals, and that `'a` is a lifetime. Every blanked character becomes a space, so that line and column
//! numbers stay true.

/// `text` with comments and the insides of literals replaced by spaces.
pub(super) fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        match end {
            None => {
                code.push(chars[at]);
                at += 1;
            }
            Some(end) => {
                let end = end.min(chars.len());
                code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends, or `None` if code goes on there.
fn end_of_token(chars: &[char], at: usize) -> Option<usize> {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => Some(find(chars, at, |c| c == '\n')),
        '/' if next == Some('*') => Some(end_of_block(chars, at)),
        '"' => Some(end_of_string(chars, at + 1)),
        'r' if !follows_word(chars, at) => raw_string(chars, at + 1),
        '\'' => character(chars, at),
        _ => None,
    }
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| wanted(*c))
        .map_or(chars.len(), |offset| from + offset)
}

fn end_of_block(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// `r"..."` and `r#"..."#`; `from` is behind the `r`. A raw identifier (`r#type`) is not one.
fn raw_string(chars: &[char], from: usize) -> Option<usize> {
    let quote = find(chars, from, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - from;
    let mut at = quote + 1;
    loop {
        at = find(chars, at, |c| c == '"') + 1;
        let closing = chars.iter().skip(at).take(hashes).filter(|c| **c == '#').count();
        if at > chars.len() || closing == hashes {
            return Some(at + hashes);
        }
    }
}

/// A character literal; a lifetime or label is left as code.
fn character(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)) {
        ('\\', _) => Some(find(chars, at + 3, |c| c == '\'') + 1),
        (_, Some('\'')) => Some(at + 3),
        _ => None,
    }
}

/// Whether the character before is part of a word, other than the `b` or `c` of a literal's prefix.
fn follows_word(chars: &[char], at: usize) -> bool {
    let word = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match at.checked_sub(1) {
        None => false,
        Some(before) if matches!(chars[before], 'b' | 'c') => before.checked_sub(1).is_some_and(word),
        Some(before) => word(before),
    }
}

/// Whether `word` stands in `line` with no letter, digit or underscore beside it.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_code_stays_in_place() {
        let text = "let a = \"x\\\"y\"; // b\nlet c = r#\"d\"e\"#; /* f /* g */ h */ i('\\'', 'j', b'k');\n";
        let code = code_of(text);
        assert_eq!(code.len(), text.len());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "let", "a", "=", ";", "let", "c", "=", ";", "i(", ",", ",", "b", ");"
            ]
        );
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        let text = "fn f<'a>(r#type: &'a str, for_: r) {}";
        assert_eq!(code_of(text), text);
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_text() {
        for text in ["\"abc", "r##\"abc\"#", "/* abc", "'", "\"abc\\"] {
            assert_eq!(code_of(text).chars().count(), text.chars().count(), "{text}");
        }
    }

    #[test]
    fn a_word_is_not_a_part_of_a_longer_one() {
        assert!(has_word("unsafe { f() }", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
        assert!(has_word("unsafe_code, unsafe", "unsafe"));
    }
}
