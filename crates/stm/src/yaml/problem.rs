//! [`Problem`]: one thing that is wrong with a file, where, and what may have been meant; [`Problems`], all of them.

use super::document::Place;
use std::fmt;

/// How many problems are told at once.
const MAX: usize = 20;
/// The longest line shown.
const MAX_EXCERPT: usize = 160;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The line, from 1; 0 = the file as a whole.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// What may have been meant, or how to write it.
    pub suggestion: Option<String>,
    /// How many characters it takes.
    width: u32,
    /// The line itself.
    excerpt: String,
}

impl Problem {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            line: place.line,
            column: place.column,
            width: place.width,
            suggestion: None,
            excerpt: String::new(),
        }
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    pub(crate) fn maybe(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(&self.message)?;
        } else {
            write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        }
        let suggestion = self.suggestion.as_deref().unwrap_or_default();
        if self.line == 0 || self.excerpt.is_empty() {
            return if suggestion.is_empty() {
                Ok(())
            } else {
                write!(f, "; {suggestion}")
            };
        }
        let margin = self.line.to_string().len();
        let before = (self.column as usize).saturating_sub(1);
        let left = self.excerpt.chars().count().saturating_sub(before).max(1);
        let carets = "^".repeat((self.width as usize).clamp(1, left));
        write!(f, "\n{:margin$} |\n{} | {}", "", self.line, self.excerpt)?;
        write!(f, "\n{:margin$} | {:before$}{carets}", "", "")?;
        if suggestion.is_empty() {
            Ok(())
        } else {
            write!(f, " {suggestion}")
        }
    }
}

/// All that is wrong with a file: at most 20 problems, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    list: Vec<Problem>,
    /// How many more there are.
    more: usize,
}

impl Problems {
    pub(crate) fn one(source: &str, problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.push(problem);
        problems.located(source)
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        if self.list.len() < MAX {
            self.list.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Whether one more would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX
    }

    /// The same with the lines that they are in.
    pub(crate) fn located(mut self, source: &str) -> Self {
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        for problem in &mut self.list {
            let line = (problem.line as usize).checked_sub(1);
            let text = line.and_then(|line| source.lines().nth(line)).unwrap_or_default();
            problem.excerpt = text
                .chars()
                .take(MAX_EXCERPT)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
        }
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// The known name that a name was probably meant to be.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let length = name.chars().count();
    if length > LONGEST {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters to insert, remove, replace or swap with their neighbour, whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (at, row) in rows.iter_mut().enumerate() {
        row[0] = at;
    }
    for (at, cell) in rows[0].iter_mut().enumerate() {
        *cell = at;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found_and_a_far_one_is_not() {
        let known = ["steps", "isolation", "on_failure", "set"];
        assert_eq!(closest("stpes", known), Some("steps"));
        assert_eq!(closest("Isolation", known), Some("isolation"));
        assert_eq!(closest("onfailure", known), Some("on_failure"));
        assert_eq!(closest("sot", known), Some("set"));
        assert_eq!(closest("workers", known), None);
        assert_eq!(closest(&"s".repeat(1000), known), None);
    }
}
