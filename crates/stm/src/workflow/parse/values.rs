//! The values of keys: names, levels, durations, conditions, assignments.

use super::Parser;
use crate::{
    Isolation, Path, Value,
    workflow::{
        expr::Expression,
        model::{Assignment, Name, OnFailure, Retry, Right},
    },
    yaml::{Data, Fields, Key, Node, Place, Problem, closest},
};
use std::time::Duration;

/// Steps of one run unless `max_ops` says otherwise.
const MAX_OPS: u32 = 10_000;
const MOST_OPS: u32 = 1_000_000_000;
const MOST_ATTEMPTS: u32 = 100;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How many values one step sets.
const MAX_ASSIGNMENTS: usize = 1_000;

impl Parser<'_> {
    pub(super) fn name(&mut self, node: Option<&Node>, what: &str) -> Option<Name> {
        let node = node?;
        let text = node.text(what, &mut self.problems)?;
        if text.is_empty()
            || text.len() > crate::Process::MAX_NAME_BYTES
            || text.chars().any(char::is_control)
        {
            let most = crate::Process::MAX_NAME_BYTES;
            self.problem(
                node.place,
                format!("{what} must have 1 to {most} printable bytes"),
                "",
            );
            return None;
        }
        Some(Name {
            text: text.to_owned(),
            place: node.place,
        })
    }

    pub(super) fn needs(&mut self, node: Option<&Node>) -> Option<Vec<Name>> {
        let node = node?;
        let list = match &node.data {
            Data::Text(_) => std::slice::from_ref(node),
            _ => node.list("needs", &mut self.problems)?,
        };
        Some(
            list.iter()
                .filter_map(|node| self.name(Some(node), "needs"))
                .collect(),
        )
    }

    pub(super) fn isolation(&mut self, fields: &Fields<'_>) -> Option<Isolation> {
        let node = fields.get("isolation")?;
        let text = node.text("isolation", &mut self.problems)?;
        let known = Isolation::ALL.map(Isolation::as_str);
        let level = text.parse().ok();
        if level.is_none() {
            let message = format!("`{text:.60}` is no isolation level");
            let close = closest(text, known).map(|close| format!("did you mean `{close}`?"));
            let suggestion = close.unwrap_or_else(|| format!("known are {}", known.join(", ")));
            self.problem(node.place, message, suggestion);
        }
        level
    }

    pub(super) fn on_failure(&mut self, node: Option<&Node>) -> OnFailure {
        let Some(node) = node else {
            return OnFailure::default();
        };
        match node.text("on_failure", &mut self.problems) {
            Some("fail-fast") | None => OnFailure::FailFast,
            Some("all") => OnFailure::All,
            Some(other) => {
                let message = format!("`{other:.60}` is no failure policy");
                self.problem(node.place, message, "known are fail-fast, all");
                OnFailure::default()
            }
        }
    }

    pub(super) fn max_ops(&mut self, fields: &Fields<'_>) -> u32 {
        let node = fields.get("max_ops");
        node.and_then(|node| node.count("max_ops", 1, MOST_OPS, &mut self.problems))
            .unwrap_or(MAX_OPS)
    }

    pub(super) fn retry(&mut self, node: Option<&Node>) -> Retry {
        let Some(node) = node else { return Retry::default() };
        let known = ["attempts", "backoff"];
        let Some(fields) = Fields::of(node, "retry", &known, &mut self.problems) else {
            return Retry::default();
        };
        let attempts = match fields.get("attempts") {
            Some(node) => node.count("attempts", 1, MOST_ATTEMPTS, &mut self.problems),
            None => {
                self.problem(node.place, "`retry` without `attempts`", "");
                None
            }
        };
        Retry {
            attempts: attempts.unwrap_or(1),
            backoff: self
                .duration(fields.get("backoff"), "backoff")
                .unwrap_or_default(),
        }
    }

    pub(super) fn duration(&mut self, node: Option<&Node>, what: &str) -> Option<Duration> {
        let node = node?;
        if let Data::Int(number) = &node.data {
            let message = format!("{what} has no unit");
            self.problem(node.place, message, format!("write `{number}ms` or `{number}s`"));
            return None;
        }
        let text = node.text(what, &mut self.problems)?;
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let unit_ms = match text[digits..].trim() {
            "ms" => Some(1.0),
            "s" => Some(1_000.0),
            "m" => Some(60_000.0),
            "h" => Some(3_600_000.0),
            _ => None,
        };
        let number = text[..digits].parse::<f64>().ok();
        let duration = number
            .zip(unit_ms)
            .map(|(number, unit_ms)| number * unit_ms / 1_000.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match duration {
            Some(duration) if duration <= LONGEST => Some(duration),
            Some(_) => {
                self.problem(node.place, format!("{what} is longer than a day"), "");
                None
            }
            None => {
                let message = format!("`{text:.60}` is no duration");
                self.problem(node.place, message, "write it as in `250ms`, `1.5s`, `2m`, `1h`");
                None
            }
        }
    }

    pub(super) fn condition(&mut self, node: &Node, what: &str) -> Option<Expression> {
        match &node.data {
            Data::Bool(set) => Expression::parse(if *set { "true" } else { "false" }).ok(),
            Data::Text(text) => self.expression(text, node.place),
            _ => {
                node.text(what, &mut self.problems);
                None
            }
        }
    }

    pub(super) fn expression(&mut self, text: &str, place: Place) -> Option<Expression> {
        match Expression::parse(text) {
            Ok(expression) => Some(expression),
            Err(refusal) => {
                let place = refusal.place(text, place, self.quote_at(place));
                let problem = Problem::new(place, refusal.message).maybe(refusal.suggestion);
                self.problems.push(problem);
                None
            }
        }
    }

    /// How many characters stand before the text of a value: its quote.
    pub(super) fn quote_at(&self, place: Place) -> u32 {
        let line = (place.line as usize).checked_sub(1);
        let line = line
            .and_then(|line| self.lines.get(line))
            .copied()
            .unwrap_or_default();
        let first = line.chars().nth((place.column as usize).saturating_sub(1));
        u32::from(matches!(first, Some('"' | '\'')))
    }

    pub(super) fn assignments(&mut self, node: &Node) -> Vec<Assignment> {
        let entries = node.entries("set", &mut self.problems).unwrap_or_default();
        if entries.is_empty() || entries.len() > MAX_ASSIGNMENTS {
            let message = format!("`set` must have 1 to {MAX_ASSIGNMENTS} paths");
            self.problem(node.place, message, "");
            return Vec::new();
        }
        entries
            .iter()
            .filter_map(|(key, node)| self.assignment(key, node))
            .collect()
    }

    pub(super) fn assignment(&mut self, key: &Key, node: &Node) -> Option<Assignment> {
        let path = match Path::new(&key.text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.problem(key.place, error.to_string(), "");
                None
            }
        };
        let value = match &node.data {
            Data::Null => Right::Constant(Value::Null),
            Data::Bool(set) => Right::Constant(Value::Bool(*set)),
            Data::Int(number) => Right::Constant(Value::Int(*number)),
            Data::Float(number) => Right::Constant(Value::Float(*number)),
            Data::Text(text) => Right::Expression(self.expression(text, node.place)?),
            Data::List(_) | Data::Map(_) => {
                let message = format!("a value is set by an expression, found {}", node.kind());
                self.problem(node.place, message, "a list is written in quotes: \"[1, 2]\"");
                return None;
            }
        };
        Some(Assignment { path: path?, value })
    }
}
