//! The contexts' routes: `/v1/stm`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/stm` | | `{"contexts": [name]}` |
//! | `GET /v1/stm/{context}` | | `{"version", "values": {path: value}, "next"?}`, at one moment |
//! | `GET /v1/stm/{context}?history=N` | | `{"version", "history": [change set]}`, the newest N, oldest first |
//! | `GET /v1/stm/{context}/{path}` | | `{"path", "value", "version"}`; of a branch as of a context |
//! | `POST /v1/stm/{context}/transact` | `{"isolation", "who", "reads", "ops"}` | `{"version", "changes"}`, 409 with `keys` |
//!
//! The `version` of one path is what `reads` takes. A list of values has at most `limit` of them (1 to 10 000, 1000 if not
//! given); `next` is then what `after` takes for the following ones.

use super::{
    answer,
    api::{Api, Routes},
    body::{self, Body},
    problem::Problem,
};
use crate::engine::{Mount, stm::StmEngine};
use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use quintet_core::ErrorKind;
use quintet_stm::{Change, ChangeSet, Context, Error, Request, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// The largest transaction, in bytes.
const BODY_BYTES: usize = 16 << 20;
const PAGE: usize = 1000;
const MOST_PAGE: usize = 10_000;
const MOST_HISTORY: usize = 10_000;

type Answer = Result<Response, Problem>;
type Mounted = Extension<Mount<StmEngine>>;

/// The routes.
pub(crate) fn routes(mount: &Mount<StmEngine>) -> Routes {
    let transact = Router::new().route("/v1/stm/{context}/transact", post(transact));
    let router = Router::new()
        .route("/v1/stm", get(list))
        .route("/v1/stm/{context}", get(whole))
        .route("/v1/stm/{context}/{*path}", get(part))
        .merge(body::limited(transact, BODY_BYTES))
        .layer(Extension(mount.clone()));
    Routes {
        router: router.merge(super::workflows::routes(mount)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    history: Option<usize>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(State(api): State<Api>, mount: Mounted) -> Answer {
    api.call(&mount, |engine| {
        Ok(answer::ok(&json!({ "contexts": engine.list() })))
    })
    .await
}

async fn whole(
    State(api): State<Api>,
    mount: Mounted,
    Path(name): Path<String>,
    Query(window): Query<Window>,
) -> Answer {
    api.call(&mount, move |engine| {
        let named = engine.get(&name)?;
        match window.history {
            Some(count) => history(&named.context, count, &window),
            None => values(&named.context, "", &window),
        }
    })
    .await
}

async fn part(
    State(api): State<Api>,
    mount: Mounted,
    Path((name, path)): Path<(String, String)>,
    Query(window): Query<Window>,
) -> Answer {
    api.call(&mount, move |engine| {
        let context = &engine.get(&name)?.context;
        if window.history.is_some() {
            return Err(Problem::invalid(
                "history: it is that of a context, not of a path",
            ));
        }
        let (value, stamp) = context.get_stamped(&path)?;
        if let Some(value) = value {
            let found = json!({ "path": path, "value": to_json(&value), "version": stamp.as_u64() });
            return Ok(answer::ok(&found));
        }
        if context.snapshot()?.iter(&path).next().is_some() {
            return values(context, &path, &window);
        }
        let why = format!("context `{name}` has nothing at `{path}`");
        // What a request that needs it to be absent takes is null.
        Err(Problem::new(ErrorKind::NotFound, why))
    })
    .await
}

async fn transact(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    api.call(&mount, move |engine| {
        let json: Json = body.json()?;
        drop(body);
        let request = Request::from_value(&from_json(json)?)?;
        // Refused before a context is made for it.
        let named = engine.get_or_make(&name)?;
        let response = named.context.request(&request)?;
        named.maintain();
        let changes: Vec<Json> = response.changes.iter().map(change).collect();
        Ok(answer::ok(
            &json!({ "version": response.version, "changes": changes }),
        ))
    })
    .await
}

fn history(context: &Context, count: usize, window: &Window) -> Answer {
    if !(1..=MOST_HISTORY).contains(&count) {
        return Err(Problem::invalid(format!(
            "history: {count} is not 1 to {MOST_HISTORY}"
        )));
    }
    if window.after.is_some() || window.limit.is_some() {
        return Err(Problem::invalid(
            "history: it has no pages, so no `after` and no `limit`",
        ));
    }
    let sets: Vec<Json> = context.history(count).iter().map(change_set).collect();
    Ok(answer::ok(
        &json!({ "version": context.version(), "history": sets }),
    ))
}

fn values(context: &Context, branch: &str, window: &Window) -> Answer {
    let limit = window.limit.unwrap_or(PAGE);
    if !(1..=MOST_PAGE).contains(&limit) {
        return Err(Problem::invalid(format!(
            "limit: {limit} is not 1 to {MOST_PAGE}"
        )));
    }
    let snapshot = context.snapshot()?;
    let after = window.after.as_deref();
    let mut rest = snapshot
        .iter(branch)
        .filter(|(path, _)| after.is_none_or(|after| path.as_str() > after))
        .peekable();
    let (mut values, mut last) = (Map::new(), None);
    while values.len() < limit
        && let Some((path, value)) = rest.next()
    {
        values.insert(path.as_str().to_owned(), to_json(&value));
        last = Some(path.as_str().to_owned());
    }
    let mut answer = json!({ "version": snapshot.version(), "values": values });
    if rest.peek().is_some() {
        answer["next"] = json!(last);
    }
    Ok(answer::ok(&answer))
}

pub(crate) fn change(change: &Change) -> Json {
    json!({
        "path": change.path.as_str(),
        "old": change.old.as_ref().map(to_json),
        "new": change.new.as_ref().map(to_json),
    })
}

fn change_set(set: &Arc<ChangeSet>) -> Json {
    let messages = set.messages.iter().map(
        |message| json!({ "id": message.id, "topic": &*message.topic, "payload": to_json(&message.payload) }),
    );
    json!({
        "version": set.version,
        "who": &*set.who,
        "isolation": set.isolation.to_string(),
        "changes": set.changes.iter().map(change).collect::<Vec<_>>(),
        "messages": messages.collect::<Vec<_>>(),
    })
}

/// JSON's model, and bytes as `{"$bytes": hex}`; a name that begins with `$` is written with one more.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Str(text) => json!(&**text),
        Value::Bytes(bytes) => json!({ "$bytes": hex(bytes) }),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let escape = if name.starts_with('$') { "$" } else { "" };
                (format!("{escape}{name}"), to_json(value))
            });
            Json::Object(fields.collect())
        }
        // Null, and kinds that this build does not know.
        _ => Json::Null,
    }
}

/// The inverse of [`to_json`]. Numbers that are no 64-bit integers become floats.
pub(crate) fn from_json(json: Json) -> Result<Value, Problem> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.into_iter().map(from_json).collect::<Result<Vec<_>, _>>()?),
        Json::Object(fields) => match bytes(&fields) {
            Some(bytes) => Value::from(bytes?),
            None => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let name = name.strip_prefix('$').map(str::to_owned).unwrap_or(name);
                    Ok((name, from_json(value)?))
                });
                Value::from(fields.collect::<Result<BTreeMap<_, _>, Problem>>()?)
            }
        },
    })
}

/// The bytes if the object is `{"$bytes": hex}`; `None` = it is a map.
fn bytes(fields: &Map<String, Json>) -> Option<Result<Vec<u8>, Problem>> {
    let (name, value) = fields
        .iter()
        .find(|(name, _)| name.starts_with('$') && !name.starts_with("$$"))?;
    let decoded = value
        .as_str()
        .and_then(unhex)
        .filter(|_| name == "$bytes" && fields.len() == 1);
    Some(
        decoded.ok_or_else(|| {
            Problem::invalid(format!("`{name}`: only {{\"$bytes\": hex}} begins with one `$`"))
        }),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _never_fails = write!(text, "{byte:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Conflict {
                keys,
                rival,
                attempts,
            } => {
                let problem = Self::new(ErrorKind::Conflict, error.to_string());
                let problem = problem.member("keys", keys.clone());
                problem
                    .member("rival", rival.clone())
                    .member("attempts", *attempts)
            }
            _ => quintet_core::Error::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_from_their_json() {
        let json = json!({
            "a": [1, -2.5, true, null, "text"],
            "$$odd": { "deep": { "$bytes": "00ff" } },
            "large": 18_446_744_073_709_551_615_u64,
        });
        let value = from_json(json.clone()).expect("a value");
        let back = to_json(&value);
        assert_eq!(back["a"], json["a"]);
        assert_eq!(back["$$odd"], json["$$odd"]);
        assert_eq!(from_json(back).expect("a value"), value);
        for bad in [
            json!({ "$bytes": "0" }),
            json!({ "$text": "x" }),
            json!([{ "$bytes": 7 }]),
        ] {
            assert!(from_json(bad.clone()).is_err(), "{bad}");
        }
    }
}
