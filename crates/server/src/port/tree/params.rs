//! The query string of Firebase's protocol: the shape of the answer, the query, the token.
//!
//! Values of queries are JSON, so text is in quotes. What is not known is left alone, as clients send parameters of their
//! own; what is known and wrong is refused with the parameter's name.

use crate::port::problem::Problem;
use quintet_tree::{Bound, Limit, OrderBy, Query, Value, parse_json};

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Print {
    /// On one line.
    #[default]
    Plain,
    /// Indented.
    Pretty,
    /// Not at all: 204.
    Silent,
}

/// What the query string says.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub(super) print: Print,
    pub(super) is_shallow: bool,
    pub(super) query: Option<Query>,
    pub(super) token: Option<String>,
    /// Asks what the rules decide instead of doing it.
    pub(super) is_explained: bool,
    /// About whom it is asked: the variable `auth`.
    pub(super) explained_as: Option<Value>,
}

/// What belongs to a query, as it comes.
#[derive(Default)]
struct Parts {
    order_by: Option<OrderBy>,
    start: Option<Bound>,
    end: Option<Bound>,
    equal_to: Option<Value>,
    limit: Option<Limit>,
}

impl Params {
    /// Reads a query string.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut params = Self::default();
        let mut parts = Parts::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "print" => params.print = print(&value)?,
                "shallow" => params.is_shallow = flag("shallow", &value)?,
                "auth" | "access_token" => params.token = Some(value.into_owned()),
                "explain" => params.is_explained = flag("explain", &value)?,
                "as" => params.explained_as = Some(json("as", &value)?),
                "callback" => {
                    return Err(wrong(
                        "callback",
                        "scripts as answers are not supported; use CORS",
                    ));
                }
                name => parts.take(name, &value)?,
            }
        }
        params.query = parts.into_query()?;
        if params.is_shallow && params.query.is_some() {
            return Err(wrong("shallow", "it cannot be combined with a query"));
        }
        Ok(params)
    }
}

impl Parts {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let bound = |inclusive| {
            Ok::<_, Problem>(Bound {
                value: json(name, value)?,
                name: None,
                inclusive,
            })
        };
        let is_second = match name {
            "orderBy" => self.order_by.replace(order_by(value)?).is_some(),
            "startAt" => self.start.replace(bound(true)?).is_some(),
            "startAfter" => self.start.replace(bound(false)?).is_some(),
            "endAt" => self.end.replace(bound(true)?).is_some(),
            "endBefore" => self.end.replace(bound(false)?).is_some(),
            "equalTo" => self.equal_to.replace(json(name, value)?).is_some(),
            "limitToFirst" => self.limit.replace(Limit::First(count(name, value)?)).is_some(),
            "limitToLast" => self.limit.replace(Limit::Last(count(name, value)?)).is_some(),
            _ => false,
        };
        if is_second {
            return Err(wrong(name, "this side of the query is given twice"));
        }
        Ok(())
    }

    fn into_query(self) -> Result<Option<Query>, Problem> {
        let has_parts =
            self.start.is_some() || self.end.is_some() || self.equal_to.is_some() || self.limit.is_some();
        let Some(order_by) = self.order_by else {
            return if has_parts {
                Err(wrong(
                    "orderBy",
                    "it must be defined when other query parameters are",
                ))
            } else {
                Ok(None)
            };
        };
        let query = match self.equal_to {
            Some(_) if self.start.is_some() || self.end.is_some() => {
                return Err(wrong("equalTo", "it cannot be combined with a start or an end"));
            }
            Some(value) => Query {
                limit: self.limit,
                ..Query::equal_to(order_by, value, None)
            },
            None => Query {
                order_by,
                start: self.start,
                end: self.end,
                limit: self.limit,
            },
        };
        query.validate()?;
        Ok(Some(query))
    }
}

fn wrong(name: &str, why: &str) -> Problem {
    Problem::invalid(format!("{name}: {why}"))
}

fn print(value: &str) -> Result<Print, Problem> {
    match value {
        "pretty" => Ok(Print::Pretty),
        "silent" => Ok(Print::Silent),
        _ => Err(wrong("print", "it is `pretty` or `silent`")),
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(wrong(name, "it is `true` or `false`")),
    }
}

fn json(name: &str, value: &str) -> Result<Value, Problem> {
    parse_json(value.as_bytes())
        .map_err(|error| wrong(name, &format!("the value must be JSON, text in quotes: {error}")))
}

fn count(name: &str, value: &str) -> Result<usize, Problem> {
    value
        .parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| wrong(name, "it must be a whole number from 1 on"))
}

fn order_by(value: &str) -> Result<OrderBy, Problem> {
    let Value::String(text) = json("orderBy", value)? else {
        return Err(wrong(
            "orderBy",
            "it must be a JSON text: \"$key\", \"$value\" or a child's path",
        ));
    };
    match text.as_str() {
        "$key" => Ok(OrderBy::Key),
        "$value" => Ok(OrderBy::Value),
        "$priority" => Err(wrong(
            "orderBy",
            "there are no priorities; order by a child instead",
        )),
        child => match child.parse() {
            Ok(path) if child.split('/').any(|name| !name.is_empty()) => Ok(OrderBy::Child(path)),
            Ok(_) => Err(wrong("orderBy", "the child's path is empty")),
            Err(error) => Err(wrong("orderBy", &format!("{error}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_query_is_read_from_its_parameters() {
        let query = |text: &str| Params::parse(text).expect(text).query.expect("a query");
        let found = query("orderBy=%22height%22&startAt=3&endBefore=%22x%22&limitToLast=2&ns=any");
        assert_eq!(found.order_by.to_string(), "height");
        assert_eq!(found.start.expect("a start").value, json!(3));
        let end = found.end.expect("an end");
        assert_eq!((end.value, end.inclusive), (json!("x"), false));
        assert_eq!(found.limit, Some(Limit::Last(2)));
        let found = query("orderBy=\"$key\"&equalTo=\"a\"");
        assert_eq!((found.order_by, found.start.is_some()), (OrderBy::Key, true));
        assert_eq!(query("orderBy=\"$value\"").order_by, OrderBy::Value);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, name) in [
            ("limitToFirst=1", "orderBy"),
            ("orderBy=height", "orderBy"),
            ("orderBy=5", "orderBy"),
            ("orderBy=\"\"", "orderBy"),
            ("orderBy=\"$priority\"", "orderBy"),
            ("orderBy=\"$key\"&startAt=5", "key"),
            ("orderBy=\"a\"&limitToFirst=0", "limitToFirst"),
            ("orderBy=\"a\"&limitToFirst=x", "limitToFirst"),
            ("orderBy=\"a\"&limitToFirst=1&limitToLast=1", "limitToLast"),
            ("orderBy=\"a\"&equalTo=1&startAt=1", "equalTo"),
            ("orderBy=\"a\"&startAt=1&startAfter=1", "startAfter"),
            ("orderBy=\"a\"&startAt=x", "startAt"),
            ("orderBy=\"a\"&startAt={}", "container"),
            ("orderBy=\"$key\"&shallow=true", "shallow"),
            ("shallow=maybe", "shallow"),
            ("print=loud", "print"),
            ("callback=f", "callback"),
        ] {
            let problem = Params::parse(text).map(|_| ()).expect_err(text);
            assert!(problem.detail().contains(name), "{text}: {}", problem.detail());
        }
    }
}
