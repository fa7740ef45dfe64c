//! The datastore's routes: `/v1/kv/{namespace}`, the namespaces being 0 to 15.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/kv/{n}?cursor&count` | | `{"keys", "next"}`; `next` is null at the end |
//! | `GET /v1/kv/{n}/{key}` | | `{"key", "value", "version", "ttl"}`, ETag; 304 with `If-None-Match` |
//! | `PUT /v1/kv/{n}/{key}?ttl=S` | the value | `{"stored": true}`; `If-Match` and `If-None-Match: *` are conditions, else 412 |
//! | `DELETE /v1/kv/{n}/{key}` | | `{"value"}`, what it was |
//! | `POST ../{key}/increment` | `{"by"}` | `{"value"}` |
//! | `POST ../{key}/push`, `/unshift` | `{"value"}` | `{"length"}` |
//! | `POST ../{key}/pop`, `/shift?timeout=S` | | `{"value"}`; waits for one at most so long |
//! | `POST ../{key}/cas` | `{"version", "value"}` | `{"swapped": true}`, 409 with the `version` there is |
//! | `POST ../{key}/swap` | the value | `{"value"}`, the one before or null |
//! | `POST ../{key}/update` | an object, merged deep | `{"value"}` |
//! | `POST ../{key}/rename` | `{"to"}` | `{"renamed": true}` |
//! | `POST ../{key}/expire` | `{"ttl"}` in seconds | `{"ttl"}` |
//! | `POST ../{key}/persist` | | `{"persisted"}` |
//!
//! Values are JSON as [`quintet_kv::to_json`] writes it, but that bytes which are text are shown as text: what a Redis
//! client stored reads as it was typed. The waits are in [`kv_wait`](super::kv_wait).

use super::{
    answer,
    api::{Api, Routes},
    body::{self, Body},
    kv_value::{shown, value},
    kv_wait,
    problem::Problem,
};
use crate::engine::{Mount, kv::KvEngine};
use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use quintet_core::ErrorKind;
use quintet_kv::{Store, Ttl, Value};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The largest value, in bytes of JSON.
const BODY_BYTES: usize = 16 << 20;
const PAGE: usize = 100;
const MOST_PAGE: usize = 10_000;
/// A year, the longest time to live that a request may ask for, in seconds.
const MOST_TTL_S: f64 = 366.0 * 86_400.0;

pub(super) type Answer = Result<Response, Problem>;
pub(super) type Mounted = Extension<Mount<KvEngine>>;

/// The routes.
pub(crate) fn routes(mount: &Mount<KvEngine>) -> Routes {
    let at_key = Router::new()
        .route("/v1/kv/{namespace}/{key}", get(read).put(write).delete(delete))
        .route("/v1/kv/{namespace}/{key}/increment", post(increment))
        .route("/v1/kv/{namespace}/{key}/push", post(push))
        .route("/v1/kv/{namespace}/{key}/unshift", post(unshift))
        .route("/v1/kv/{namespace}/{key}/pop", post(kv_wait::pop))
        .route("/v1/kv/{namespace}/{key}/shift", post(kv_wait::shift))
        .route("/v1/kv/{namespace}/{key}/cas", post(cas))
        .route("/v1/kv/{namespace}/{key}/swap", post(swap))
        .route("/v1/kv/{namespace}/{key}/update", post(update))
        .route("/v1/kv/{namespace}/{key}/rename", post(rename))
        .route("/v1/kv/{namespace}/{key}/expire", post(expire))
        .route("/v1/kv/{namespace}/{key}/persist", post(persist));
    let router = body::limited(at_key, BODY_BYTES)
        .route("/v1/kv/{namespace}", get(scan))
        .layer(Extension(mount.clone()));
    Routes { router }
}

/// A key as a path names it: its namespace, its text, and the bytes it has in the store.
pub(super) struct Key {
    text: String,
    pub(super) full: Vec<u8>,
}

/// The namespace of a path.
fn namespace(text: &str) -> Result<u8, Problem> {
    let number = text.parse::<u8>().ok().filter(|number| *number < 16);
    number.ok_or_else(|| Problem::invalid(format!("namespace: `{text}` is not 0 to 15")))
}

impl Key {
    pub(super) fn new(path: (String, String)) -> Result<Self, Problem> {
        let full = [&[namespace(&path.0)?], path.1.as_bytes()].concat();
        Ok(Self { text: path.1, full })
    }

    pub(super) fn missing(&self) -> Problem {
        Problem::new(ErrorKind::NotFound, format!("there is no key `{}`", self.text))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Increment {
    #[serde(default = "one")]
    by: Json,
}

fn one() -> Json {
    json!(1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    value: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cas {
    version: u64,
    value: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeToLive {
    ttl: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteOptions {
    ttl: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanOptions {
    #[serde(default)]
    cursor: u64,
    count: Option<usize>,
}

fn seconds(field: &str, seconds: f64, most: f64) -> Result<Duration, Problem> {
    if seconds.is_finite() && (0.0..=most).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(Problem::invalid(format!(
        "{field}: {seconds} is not 0 to {most} seconds"
    )))
}

/// How long a wait may take at most; at most an hour.
pub(super) fn timeout(given: f64) -> Result<Duration, Problem> {
    seconds("timeout", given, 3600.0)
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

fn version_of(tag: &HeaderValue) -> Option<u64> {
    tag.to_str()
        .ok()?
        .trim()
        .trim_start_matches("W/")
        .trim_matches('"')
        .parse()
        .ok()
}

async fn scan(
    State(api): State<Api>,
    mount: Mounted,
    Path(place): Path<String>,
    Query(options): Query<ScanOptions>,
) -> Answer {
    api.call(&mount, move |engine| {
        let place = namespace(&place)?;
        let count = options.count.unwrap_or(PAGE);
        if !(1..=MOST_PAGE).contains(&count) {
            return Err(Problem::invalid(format!(
                "count: {count} is not 1 to {MOST_PAGE}"
            )));
        }
        let (next, keys) = engine.store.scan(options.cursor, count);
        let mine = keys.iter().filter_map(|key| key.split_first());
        let keys: Vec<Json> = mine
            .filter(|(first, _)| **first == place)
            .map(|(_, key)| shown(&Value::from(key)))
            .collect();
        Ok(answer::ok(
            &json!({ "keys": keys, "next": (next > 0).then_some(next) }),
        ))
    })
    .await
}

async fn read(
    State(api): State<Api>,
    mount: Mounted,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    api.call(&mount, move |engine| {
        let key = Key::new(path)?;
        let found = engine.store.get_versioned(&key.full)?;
        let (value, version) = found.ok_or_else(|| key.missing())?;
        let known = headers.get(header::IF_NONE_MATCH).and_then(version_of);
        let tag = [(header::ETAG, etag(version))];
        if known == Some(version) {
            return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
        }
        let ttl = match engine.store.ttl(&key.full)? {
            Ttl::Left(left) => Some(left.as_secs_f64()),
            Ttl::Never | Ttl::Missing => None,
        };
        let found = json!({ "key": key.text, "value": shown(&value), "version": version, "ttl": ttl });
        Ok((tag, answer::ok(&found)).into_response())
    })
    .await
}

async fn write(
    State(api): State<Api>,
    mount: Mounted,
    Path(path): Path<(String, String)>,
    Query(options): Query<WriteOptions>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    api.call(&mount, move |engine| {
        let key = Key::new(path)?;
        let new = value(&body.json()?)?;
        drop(body);
        let ttl = options
            .ttl
            .map(|ttl| seconds("ttl", ttl, MOST_TTL_S))
            .transpose()?;
        let conditions = (headers.get(header::IF_MATCH), headers.get(header::IF_NONE_MATCH));
        match conditions {
            (None, None) => engine.store.set_for(&key.full, new, ttl)?,
            _ if ttl.is_some() => {
                return Err(Problem::invalid("ttl: not with a condition; use expire after it"));
            }
            (Some(tag), None) => swap_if(&engine.store, &key, tag, new)?,
            (None, Some(tag)) if tag == "*" => {
                if !engine.store.set_once(&key.full, new)? {
                    return Err(failed("the key is there already"));
                }
            }
            _ => {
                let why = "`If-Match: \"version\"` or `If-None-Match: *`, and not both";
                return Err(Problem::invalid(why));
            }
        }
        Ok(answer::ok(&json!({ "stored": true })))
    })
    .await
}

fn failed(why: &str) -> Problem {
    Problem::of_status(StatusCode::PRECONDITION_FAILED, "precondition failed", why)
}

fn swap_if(store: &Store, key: &Key, tag: &HeaderValue, new: Value) -> Result<(), Problem> {
    let wanted = version_of(tag).filter(|version| *version > 0);
    let wanted = wanted.ok_or_else(|| Problem::invalid("If-Match: it takes one ETag of a GET"))?;
    match store.compare_and_swap(&key.full, wanted, new)? {
        Ok(()) => Ok(()),
        Err(0) => Err(failed("the key is not there").member("version", 0)),
        Err(found) => Err(failed("the key was changed").member("version", found)),
    }
}

async fn delete(State(api): State<Api>, mount: Mounted, Path(path): Path<(String, String)>) -> Answer {
    api.call(&mount, move |engine| {
        let key = Key::new(path)?;
        let old = engine.store.delete(&key.full)?.ok_or_else(|| key.missing())?;
        Ok(answer::ok(&json!({ "value": shown(&old) })))
    })
    .await
}

/// An operation on one key with a body; every one of those that do not wait.
async fn operate<B: serde::de::DeserializeOwned>(
    api: &Api,
    mount: &Mounted,
    path: (String, String),
    body: Body,
    work: impl FnOnce(&Store, &Key, B) -> Result<Json, Problem> + Send + 'static,
) -> Answer {
    api.call(mount, move |engine| {
        let key = Key::new(path)?;
        let parsed = body.json()?;
        drop(body);
        Ok(answer::ok(&work(&engine.store, &key, parsed)?))
    })
    .await
}

type At = Path<(String, String)>;

async fn increment(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, ask: Increment| {
        let sum = store.increment(&key.full, value(&ask.by)?)?;
        Ok(json!({ "value": shown(&sum) }))
    })
    .await
}

async fn push(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, ask: Item| {
        Ok(json!({ "length": store.push(&key.full, value(&ask.value)?)? }))
    })
    .await
}

async fn unshift(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, ask: Item| {
        Ok(json!({ "length": store.unshift(&key.full, value(&ask.value)?)? }))
    })
    .await
}

async fn cas(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, ask: Cas| {
        match store.compare_and_swap(&key.full, ask.version, value(&ask.value)?)? {
            Ok(()) => Ok(json!({ "swapped": true })),
            Err(found) => {
                let why = format!("the key has version {found}, not {}", ask.version);
                Err(Problem::new(ErrorKind::Conflict, why).member("version", found))
            }
        }
    })
    .await
}

async fn swap(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, new: Json| {
        let old = store.swap(&key.full, value(&new)?)?;
        Ok(json!({ "value": old.as_ref().map(shown) }))
    })
    .await
}

async fn update(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, patch: Json| {
        let merged = store.update(&key.full, value(&patch)?)?;
        Ok(json!({ "value": shown(&merged) }))
    })
    .await
}

async fn rename(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    let place = path.0.clone();
    operate(&api, &mount, path, body, move |store, key, ask: Rename| {
        let to = Key::new((place, ask.to))?;
        store.rename(&key.full, &to.full)?;
        Ok(json!({ "renamed": true }))
    })
    .await
}

async fn expire(State(api): State<Api>, mount: Mounted, Path(path): At, body: Body) -> Answer {
    operate(&api, &mount, path, body, |store, key, ask: TimeToLive| {
        store.expire(&key.full, seconds("ttl", ask.ttl, MOST_TTL_S)?)?;
        Ok(json!({ "ttl": ask.ttl }))
    })
    .await
}

async fn persist(State(api): State<Api>, mount: Mounted, Path(path): At) -> Answer {
    api.call(&mount, move |engine| {
        let key = Key::new(path)?;
        Ok(answer::ok(
            &json!({ "persisted": engine.store.persist(&key.full)? }),
        ))
    })
    .await
}
