//! What operators and their tools ask: `/livez`, `/readyz`, `/version`, `/stats`, `/metrics`, `/openapi.json`.
//!
//! Live means that the process answers. Ready means that a write to any engine would be taken: not while recovering or
//! draining, nor when an engine is poisoned or full; the answer names each reason.

use super::{answer, api::Api, life::Stage, metrics};
use crate::{engine::Entry, features};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use quintet_core::{Clock, Error, ErrorKind, SystemClock};
use serde_json::{Map, Value, json};
use std::fs;

/// The routes.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .route("/stats", get(stats))
        .route("/metrics", get(page))
        .route("/openapi.json", get(document))
}

/// What the port can do, for people and generators. A test holds the running server to it.
async fn document() -> Response {
    const DOCUMENT: &str = include_str!("openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

async fn livez() -> Response {
    answer::ok(&json!({ "live": true }))
}

async fn version() -> Response {
    answer::ok(&json!({
        "name": "quintet",
        "version": env!("CARGO_PKG_VERSION"),
        "engines": features::engines(),
        "not_built_in": features::missing(),
        "io_backends": features::backends(),
    }))
}

async fn readyz(State(api): State<Api>) -> Response {
    let stage = api.life().stage();
    let roster = api.clone();
    // Beside the line of engine calls: a full line is no reason to be thought dead.
    let engines = tokio::task::spawn_blocking(move || {
        let entries = roster.roster().entries().iter();
        entries
            .map(|entry| (entry.name, readiness(entry)))
            .collect::<Vec<_>>()
    });
    let engines = engines.await.unwrap_or_default();
    let is_ready = stage == Stage::Serving && engines.iter().all(|(_, state)| state.is_ok());
    let state = match stage {
        Stage::Recovering => "recovering",
        Stage::Serving if is_ready => "ready",
        Stage::Serving => "degraded",
        Stage::Draining => "draining",
    };
    let engines: Map<String, Value> = engines
        .into_iter()
        .map(|(name, state)| (name.to_owned(), state.unwrap_or_else(|trouble| trouble)))
        .collect();
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": is_ready, "state": state, "engines": engines });
    let mut response = answer::json(status, &body);
    if !is_ready {
        // The body says more than a problem would.
        response.extensions_mut().insert(super::dress::Dressed);
    }
    response
}

/// `Ok` = in no one's way.
fn readiness(entry: &Entry) -> Result<Value, Value> {
    match entry.look() {
        Err(reason) => Ok(json!({ "state": "absent", "reason": reason })),
        Ok(Err(recovering)) => Err(trouble("recovering", &recovering)),
        Ok(Ok(engine)) => match engine.health() {
            Ok(()) => Ok(json!({ "state": "ready" })),
            Err(error) => {
                let state = match error.kind() {
                    ErrorKind::Full => "full",
                    ErrorKind::Poisoned => "poisoned",
                    _ => "failed",
                };
                Err(trouble(state, &error))
            }
        },
    }
}

fn trouble(state: &str, error: &Error) -> Value {
    json!({ "state": state, "reason": error.context() })
}

async fn stats(State(api): State<Api>) -> Result<Response, super::problem::Problem> {
    let uptime = SystemClock.now().saturating_duration_since(api.began());
    let roster = api.clone();
    let engines = api.offload().run(move || {
        let entries = roster.roster().entries().iter();
        let figures = entries.map(|entry| {
            let figures = match entry.look() {
                Err(reason) => json!({ "absent": reason }),
                Ok(Err(recovering)) => json!({ "recovering": recovering.context() }),
                Ok(Ok(engine)) => {
                    let mut figures = engine.stats();
                    if let Some(mut vitals) = engine.vitals() {
                        if let Some(answers) = roster.traffic().of(entry.name) {
                            vitals.add(answers.total(), answers.times());
                        }
                        figures["vitals"] = vitals.json();
                    }
                    figures
                }
            };
            (entry.name.to_owned(), figures)
        });
        figures.collect::<Map<String, Value>>()
    });
    Ok(answer::ok(&json!({
        "uptime_s": uptime.as_secs(),
        "calls": api.offload().depth(),
        "resident_bytes": resident_bytes(),
        "engines": engines.await?,
    })))
}

/// The memory of the process, if the system tells.
fn resident_bytes() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let resident: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(resident.saturating_mul(rustix::param::page_size() as u64))
}

/// What the process itself takes, as far as the system tells.
fn process(page: &mut metrics::Exposition) {
    if let Some(bytes) = resident_bytes() {
        page.gauge("quintet_server_resident_bytes", "Memory of the process.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.gauge(
            "quintet_server_open_descriptors",
            "Files and sockets.",
            open.count(),
        );
    }
}

async fn page(State(api): State<Api>) -> Result<Response, super::problem::Problem> {
    let uptime = SystemClock.now().saturating_duration_since(api.began());
    let roster = api.clone();
    let text = api.offload().run(move || {
        let mut page = metrics::Exposition::default();
        page.gauge(
            "quintet_server_uptime_seconds",
            "Since the start.",
            uptime.as_secs(),
        );
        page.gauge(
            "quintet_api_running_calls",
            "Engine calls that run or wait for a thread.",
            roster.offload().depth(),
        );
        process(&mut page);
        roster.traffic().metrics(&mut page);
        for entry in roster.roster().entries() {
            if let Ok(Ok(engine)) = entry.look() {
                engine.metrics(&mut page);
            }
        }
        page.finish()
    });
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text.await?).into_response())
}
