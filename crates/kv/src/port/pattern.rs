//! Glob patterns as Redis has them: `*`, `?`, `[a-z]`, `[^a]`, `\x`.

/// Whether the whole text matches. Takes time proportional to pattern times text at most: a star only ever goes back to
/// the last star.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => one(&pattern[p..], text[t]),
            None => None,
        };
        match (step, star) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((after, at))) => {
                star = Some((after, at + 1));
                p = after;
                t = at + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the front of a pattern; answers how much of the pattern that was.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', class @ ..] => {
            let negated = class.first() == Some(&b'^');
            let mut at = usize::from(negated);
            let mut hit = false;
            while let Some(first) = class.get(at).filter(|first| **first != b']') {
                if *first == b'\\' && at + 1 < class.len() {
                    at += 1;
                    hit |= class[at] == byte;
                } else if class.get(at + 1) == Some(&b'-')
                    && class.get(at + 2).is_some_and(|last| *last != b']')
                {
                    let (low, high) = (*first.min(&class[at + 2]), *first.max(&class[at + 2]));
                    hit |= (low..=high).contains(&byte);
                    at += 2;
                } else {
                    hit |= *first == byte;
                }
                at += 1;
            }
            (hit != negated).then_some((at + 2).min(pattern.len()))
        }
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_as_documented() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxc", false),
            ("[a", "a", true),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
        let (pattern, text) = ("a*".repeat(50) + "b", "a".repeat(10_000));
        assert!(
            !matches(pattern.as_bytes(), text.as_bytes()),
            "and that in reasonable time"
        );
    }
}
