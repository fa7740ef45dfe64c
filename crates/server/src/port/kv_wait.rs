//! `POST /v1/kv/{n}/{key}/pop` and `/shift`: an item of a list, waited for with `?timeout=S`.
//!
//! A wait holds no thread: it is a place in the store's line ([`quintet_kv::Taking`]) that wakes its request. Getting in
//! line, leaving it and the flush before the answer run on the pool of engine calls. A client that leaves gives its place
//! up, and what was handed to it goes back. Waits end with 503 when the server drains.

use super::{
    answer,
    api::Api,
    kv::{self, Answer, Key, Mounted},
    kv_value,
    problem::Problem,
};
use axum::extract::{Path, Query, State};
use quintet_core::{Error, ErrorKind};
use quintet_kv::{End, Taking, Value};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    timeout: Option<f64>,
}

pub(super) async fn pop(
    State(api): State<Api>,
    mount: Mounted,
    Path(path): Path<(String, String)>,
    Query(options): Query<Options>,
) -> Answer {
    take(&api, &mount, Key::new(path)?, End::Back, options).await
}

pub(super) async fn shift(
    State(api): State<Api>,
    mount: Mounted,
    Path(path): Path<(String, String)>,
    Query(options): Query<Options>,
) -> Answer {
    take(&api, &mount, Key::new(path)?, End::Front, options).await
}

/// A place in line that is left where leaving may block.
struct Place(Option<Taking>);

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(taking), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(taking)));
        }
    }
}

async fn take(api: &Api, mount: &Mounted, key: Key, end: End, options: Options) -> Answer {
    let timeout = options.timeout.map_or(Ok(Duration::ZERO), kv::timeout)?;
    let operation = match end {
        End::Front => "shift",
        End::Back => "pop",
    };
    let engine = mount.get()?;
    let store = engine.store.clone();
    let full = key.full.clone();
    let joined = api.offload().run(move || {
        store
            .taking(&full, end, operation)
            .map(|taking| Place(Some(taking)))
    });
    let mut place = joined.await??;
    let found = wait(api, &mut place, timeout).await?;
    drop(place);
    let Some(value) = found else {
        if timeout.is_zero() {
            return Err(key.missing());
        }
        let why = format!("{operation}: nothing came within {} s", timeout.as_secs_f64());
        return Err(Problem::new(ErrorKind::TimedOut, why));
    };
    let settled = api.offload().run(move || {
        engine.store.settle()?;
        Ok::<_, Error>(answer::ok(&json!({ "value": kv_value::shown(&value) })))
    });
    Ok(settled.await??)
}

/// The item, or `None` when the time is up.
async fn wait(api: &Api, place: &mut Place, timeout: Duration) -> Result<Option<Value>, Problem> {
    let Some(taking) = &mut place.0 else {
        return Ok(None);
    };
    let taking = std::pin::Pin::new(taking);
    tokio::select! {
        // What is there is taken, whatever else is true.
        biased;
        found = time::timeout(timeout, taking) => Ok(found.unwrap_or(None)),
        () = api.life().draining() => {
            Err(Problem::new(ErrorKind::Unavailable, "the server is stopping"))
        }
    }
}
