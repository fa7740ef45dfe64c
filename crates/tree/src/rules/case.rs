//! A table of rule cases, as `quintet rules test` reads it: who does what where on which data, and whether it may.
//!
//! `{"cases": [{"name": …, "operation": "read|write|update|delete", "path": "/a/b", "auth": {…}, "data": {…}, "new": …,
//! "now": 1700000000000, "allowed": true}]}`. `data` of the table itself is the default of every case.

use super::{
    data::JsonData,
    decide::{Auth, Decision, Request},
    document::Rules,
};
use quintet_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::time::{Duration, UNIX_EPOCH};

/// The most cases of one table.
const CASES_MAX: usize = 100_000;

/// What is done in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Reads the value at the path.
    Read,
    /// Replaces it by `new`.
    Write,
    /// Writes each path of the object `new`, relative to the path, at once.
    Update,
    /// Deletes it.
    Delete,
}

/// One row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is about.
    #[serde(default)]
    pub name: String,
    /// What is done.
    pub operation: Operation,
    /// Where.
    pub path: String,
    /// The variable `auth`: null or an object.
    #[serde(default)]
    pub auth: Json,
    /// The tree before; missing = the table's.
    #[serde(default)]
    pub data: Option<Json>,
    /// What is written.
    #[serde(default)]
    pub new: Json,
    /// The variable `now`, in milliseconds since 1970.
    #[serde(default)]
    pub now: u64,
    /// What the answer has to be.
    pub allowed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    data: Json,
    cases: Vec<Case>,
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Whether the answer is the expected one.
    pub passed: bool,
    /// The answer.
    pub decision: Decision,
}

/// Reads a table.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] with line and column.
pub fn parse_cases(text: &str) -> Result<Vec<Case>> {
    let table: Table =
        serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    if table.cases.len() > CASES_MAX {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} cases are more than the {CASES_MAX} allowed",
                table.cases.len()
            ),
        ));
    }
    Ok(table
        .cases
        .into_iter()
        .map(|case| Case {
            data: case.data.or_else(|| Some(table.data.clone())),
            ..case
        })
        .collect())
}

impl Case {
    /// Asks the rules, and compares.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the case itself makes no sense.
    pub fn run(&self, rules: &Rules) -> Result<CaseResult> {
        let invalid = |why: &str| Error::new(ErrorKind::InvalidInput, format!("case `{}`: {why}", self.name));
        let auth =
            Auth::of_variable(self.auth.clone()).ok_or_else(|| invalid("`auth` is null or an object"))?;
        let old = self.data.clone().unwrap_or_default();
        let now = UNIX_EPOCH
            .checked_add(Duration::from_millis(self.now))
            .ok_or_else(|| invalid("`now` is too large"))?;
        let request = Request {
            auth: &auth,
            now,
            old: &JsonData(&old),
            explain: true,
        };
        let path: Vec<&str> = super::value::segments(&self.path).collect();
        let decision = match self.operation {
            Operation::Read => rules.may_read(&request, &path)?,
            Operation::Write | Operation::Delete => {
                let value = if self.operation == Operation::Write {
                    self.new.clone()
                } else {
                    Json::Null
                };
                let mut new = old.clone();
                put(&mut new, &path, value);
                rules.may_write(&request, &path, &JsonData(&new))?
            }
            Operation::Update => {
                let Json::Object(writes) = &self.new else {
                    return Err(invalid("an update needs an object of paths as `new`"));
                };
                update(rules, &request, &path, &old, writes)?
            }
        };
        Ok(CaseResult {
            passed: decision.allowed == self.allowed,
            decision,
        })
    }
}

/// Every path of an update is asked about the state after all of them; the first refusal decides.
fn update(
    rules: &Rules,
    request: &Request<'_>,
    path: &[&str],
    old: &Json,
    writes: &Map<String, Json>,
) -> Result<Decision> {
    let target = |relative: &'_ str| -> Vec<String> {
        path.iter()
            .copied()
            .chain(super::value::segments(relative))
            .map(str::to_owned)
            .collect()
    };
    let mut new = old.clone();
    for (relative, value) in writes {
        let target = target(relative);
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        put(&mut new, &target, value.clone());
    }
    let mut decision = Decision {
        allowed: true,
        reason: "nothing is written".to_owned(),
        trace: Vec::new(),
    };
    for relative in writes.keys() {
        let target = target(relative);
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        let mut next = rules.may_write(request, &target, &JsonData(&new))?;
        next.trace.splice(0..0, decision.trace);
        decision = next;
        if !decision.allowed {
            break;
        }
    }
    Ok(decision)
}

/// Replaces the value at `path`. What is in the way and is not an object gives way to one.
fn put(tree: &mut Json, path: &[&str], value: Json) {
    let mut at = tree;
    for segment in path {
        if let Json::Array(items) = at {
            let fields = items.drain(..).enumerate();
            *at = Json::Object(fields.map(|(index, item)| (index.to_string(), item)).collect());
        } else if !at.is_object() {
            *at = Json::Object(Map::new());
        }
        let Json::Object(fields) = at else {
            return;
        };
        at = fields.entry((*segment).to_owned()).or_insert(Json::Null);
    }
    *at = value;
}
