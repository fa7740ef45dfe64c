//! The workflows' routes: `/v1/workflows`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/workflows` | | `{"workflows": [summary]}`, the newest first |
//! | `POST /v1/workflows?context=NAME` | the YAML | 202 with a summary and `Location`; 400 with `problems` |
//! | `GET /v1/workflows/{id}` | | the summary, and at its end the report with all changes |
//! | `GET /v1/workflows/{id}/events` | | server-sent events, from the first that is kept or after `Last-Event-ID` |
//! | `POST /v1/workflows/{id}/cancel` | | 202; what runs is undone, nothing more starts |

use super::{
    answer,
    api::Api,
    body::{self, Body},
    problem::Problem,
};
use crate::engine::{
    Mount,
    stm::StmEngine,
    workflows::{News, Run},
};
use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::stream::{self, Stream};
use quintet_core::ErrorKind;
use quintet_stm::{
    Processes,
    workflow::{Plan, Problems},
};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::{collections::VecDeque, convert::Infallible, sync::Arc};

/// The largest workflow, in bytes.
const BODY_BYTES: usize = 2 << 20;

type Answer = Result<Response, Problem>;
type Mounted = Extension<Mount<StmEngine>>;

/// The routes.
pub(super) fn routes(mount: &Mount<StmEngine>) -> Router<Api> {
    let start = Router::new().route("/v1/workflows", post(start).get(list));
    Router::new()
        .route("/v1/workflows/{id}", get(whole))
        .route("/v1/workflows/{id}/events", get(events))
        .route("/v1/workflows/{id}/cancel", post(cancel))
        .merge(body::limited(start, BODY_BYTES))
        .layer(Extension(mount.clone()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    context: Option<String>,
}

async fn list(State(api): State<Api>, mount: Mounted) -> Answer {
    api.call(&mount, |engine| {
        Ok(answer::ok(&json!({ "workflows": engine.workflows().list() })))
    })
    .await
}

async fn start(State(api): State<Api>, mount: Mounted, Query(place): Query<Where>, body: Body) -> Answer {
    api.call(&mount, move |engine| {
        let source = body.text()?;
        let plan = Plan::parse(source, &Processes::new()).map_err(|problems| refused(&problems))?;
        drop(body);
        let name = place.context.as_deref().unwrap_or("default");
        // Refused before a context is made for it.
        let named = engine.get_or_make(name)?;
        let run = engine.workflows().start(name, named.context.clone(), plan)?;
        let mut response = answer::json(StatusCode::ACCEPTED, &run.summary());
        if let Ok(location) = HeaderValue::try_from(format!("/v1/workflows/{}", run.id())) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    })
    .await
}

fn refused(problems: &Problems) -> Problem {
    let list = problems.iter().map(|problem| {
        json!({
            "line": problem.line,
            "column": problem.column,
            "message": problem.message,
            "suggestion": problem.suggestion,
        })
    });
    let first = problems.iter().next();
    let first = first.map_or_else(String::new, |problem| {
        format!(
            "line {}, column {}: {}",
            problem.line, problem.column, problem.message
        )
    });
    Problem::invalid(format!("the workflow is refused: {first}"))
        .member("problems", list.collect::<Vec<Json>>())
}

async fn whole(State(api): State<Api>, mount: Mounted, Path(id): Path<u64>) -> Answer {
    api.call(&mount, move |engine| {
        Ok(answer::ok(&engine.workflows().get(id)?.whole()))
    })
    .await
}

async fn cancel(State(api): State<Api>, mount: Mounted, Path(id): Path<u64>) -> Answer {
    api.call(&mount, move |engine| {
        let run = engine.workflows().get(id)?;
        run.cancel();
        Ok(answer::json(StatusCode::ACCEPTED, &run.summary()))
    })
    .await
}

async fn events(State(api): State<Api>, mount: Mounted, Path(id): Path<u64>, headers: HeaderMap) -> Answer {
    let run = mount.get()?.workflows().get(id)?;
    let after = match headers.get("last-event-id") {
        None => 0,
        Some(text) => match text.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(after) => after,
            None => {
                return Err(Problem::new(
                    ErrorKind::InvalidInput,
                    "last-event-id: not a number",
                ));
            }
        },
    };
    let stream = told(run, api, after);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// A reader of one run's events.
struct Reader {
    run: Arc<Run>,
    api: Api,
    after: u64,
    queued: VecDeque<Event>,
    ended: bool,
}

/// Every event after a number, until the run or the server ends.
fn told(run: Arc<Run>, api: Api, after: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let reader = Reader {
        run,
        api,
        after,
        queued: VecDeque::new(),
        ended: false,
    };
    stream::unfold(reader, |mut reader| async move {
        let mut latest = reader.run.watch();
        loop {
            if let Some(event) = reader.queued.pop_front() {
                return Some((Ok(event), reader));
            }
            if reader.ended {
                return None;
            }
            latest.borrow_and_update();
            let news = reader.run.news(reader.after);
            reader.queue(news);
            if reader.queued.is_empty() && !reader.ended {
                tokio::select! {
                    changed = latest.changed() => reader.ended = changed.is_err(),
                    () = reader.api.life().draining() => return None,
                }
            }
        }
    })
}

impl Reader {
    fn queue(&mut self, news: News) {
        if news.missed > 0 {
            let body = json!({ "missed": news.missed }).to_string();
            self.queued.push_back(Event::default().event("missed").data(body));
        }
        for (number, name, body) in news.events {
            self.after = number;
            let event = Event::default().id(number.to_string()).event(name).data(&*body);
            self.queued.push_back(event);
        }
        self.ended = news.ended;
    }
}
