//! What only administrators may: `POST /v1/admin/backup`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `POST /v1/admin/backup` | `{"to": directory on the server's disk}` | a line of JSON whenever it is further, one at the end |
//!
//! The route writes where it is told, so it wants the admin token; a server that asks nobody for a token serves it on a
//! loopback address only, and never to a browser, which a page of another site could have told to ask. One backup runs at
//! a time, on a thread of its own; it ends when its client goes or the server drains.

use super::{
    admit,
    api::{Api, Routes},
    body::Body,
    life::Stage,
    problem::Problem,
};
use crate::{
    auth::Mode,
    backup::{
        make::{Made, Progress, Source, make},
        sources,
    },
};
use axum::{
    Extension, Router,
    body::Body as Answer,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::stream;
use quintet_core::{Clock, Error, ErrorKind, SystemClock, auth::Role};
use serde::Deserialize;
use serde_json::json;
use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// The least time between two lines about the same thing.
const PACE: Duration = Duration::from_millis(100);
/// Lines that wait for a slow client; further ones are left out.
const LINES: usize = 16;

/// What the routes need beside the port's own.
#[derive(Clone)]
struct Admin {
    data_dir: Arc<Path>,
    is_loopback: bool,
    /// One permit.
    turn: Arc<Semaphore>,
}

/// The routes, for a port that listens on a loopback address or not.
pub(crate) fn routes(data_dir: &Path, is_loopback: bool) -> Routes {
    let admin = Admin {
        data_dir: data_dir.into(),
        is_loopback,
        turn: Arc::new(Semaphore::new(1)),
    };
    let router = Router::new()
        .route("/v1/admin/backup", post(backup))
        .layer(Extension(admin));
    Routes { router }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    to: PathBuf,
    /// The data directory that is meant; another server may have come to listen here.
    data_dir: Option<PathBuf>,
}

async fn backup(
    State(api): State<Api>,
    Extension(admin): Extension<Admin>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    admin.check(&api, &headers)?;
    let wish: Wish = body.json()?;
    admin.check_wish(&wish)?;
    let turn = Arc::clone(&admin.turn)
        .try_acquire_owned()
        .map_err(|_taken| Problem::new(ErrorKind::Unavailable, "a backup is being made; try again"))?;
    let sources = running(&api, &admin.data_dir)?;
    let (lines, told) = mpsc::channel(LINES);
    tokio::task::spawn_blocking(move || {
        let last = match run(&api, &admin.data_dir, sources, &wish.to, &lines) {
            Ok(Made {
                engines,
                files,
                bytes,
            }) => json!({ "made": { "engines": engines, "files": files, "bytes": bytes } }),
            Err(error) => json!({ "error": error.context() }),
        };
        // Before the last line, so that whoever has read it can ask again.
        drop(turn);
        let _gone = lines.blocking_send(format!("{last}\n"));
    });
    let lines = stream::unfold(told, |mut told| async move {
        let line = told.recv().await?;
        Some((Ok::<_, Infallible>(line), told))
    });
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media_type)], Answer::from_stream(lines)).into_response())
}

impl Admin {
    fn check(&self, api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
        if headers.contains_key(header::ORIGIN) {
            let why = "browsers are not served here";
            return Err(Problem::new(ErrorKind::PermissionDenied, why));
        }
        if api.tokens().mode() == Mode::Off {
            if self.is_loopback {
                return Ok(());
            }
            let why = "the port asks nobody for a token and other hosts can reach it: see --auth";
            return Err(Problem::new(ErrorKind::PermissionDenied, why));
        }
        if admit::principal(api, headers)?.role() != Role::Admin {
            let why = "this is for the admin token";
            return Err(Problem::new(ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    fn check_wish(&self, wish: &Wish) -> Result<(), Problem> {
        let same = |path: &Path| path.canonicalize().ok();
        if let Some(meant) = &wish.data_dir
            && same(meant) != same(&self.data_dir)
        {
            let why = format!(
                "this server has the data directory {}, not {}",
                self.data_dir.display(),
                meant.display()
            );
            return Err(Problem::new(ErrorKind::Conflict, why));
        }
        if !wish.to.is_absolute() {
            let why = format!("to: {} is not an absolute path", wish.to.display());
            return Err(Problem::invalid(why));
        }
        Ok(())
    }
}

/// Every engine that serves, and those that were left out and have data all the same.
fn running(api: &Api, data_dir: &Path) -> Result<Vec<Source>, Problem> {
    let mut found = Vec::new();
    for entry in api.roster().entries() {
        let Ok(engine) = entry.look() else { continue };
        let engine = engine?;
        found.push(Source {
            name: entry.name,
            bytes: engine.backup_bytes(),
            copy: Box::new(move |folder, each| engine.backup(folder, each)),
        });
    }
    let open: Vec<&str> = found.iter().map(|source| source.name).collect();
    let resting = sources(data_dir, &open)
        .map_err(|failure| Problem::new(ErrorKind::Unsupported, failure.to_string()))?;
    found.extend(resting);
    Ok(found)
}

fn run(
    api: &Api,
    data_dir: &Path,
    sources: Vec<Source>,
    to: &Path,
    lines: &mpsc::Sender<String>,
) -> Result<Made, Error> {
    let mut told = None;
    make(data_dir, sources, to, &mut |progress: Progress| {
        if lines.is_closed() {
            return Err(Error::new(
                ErrorKind::Closed,
                "whoever asked for the backup has left",
            ));
        }
        if api.life().stage() == Stage::Draining {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        let now = SystemClock.now();
        let is_due = told
            .is_none_or(|(doing, at)| doing != progress.doing || now.saturating_duration_since(at) >= PACE);
        if is_due {
            told = Some((progress.doing, now));
            let line = json!({
                "doing": progress.doing,
                "done_bytes": progress.done_bytes,
                "total_bytes": progress.total_bytes,
            });
            let _too_slow = lines.try_send(format!("{line}\n"));
        }
        Ok(())
    })
}
