//! The tree's port: Firebase's REST protocol on paths that end in `.json`, and a plain face of the same operations on paths
//! that do not.
//!
//! | file | role |
//! |---|---|
//! | `face` | what every handler has: the tree, who is asking, room for bodies |
//! | `prompt` | whether small reads are done where they come in |
//! | `target` | which face a path means, and the place in the tree |
//! | `params` | the query string: shape of the answer, queries, the token |
//! | `rest` | GET, PUT, PATCH, POST, DELETE, with tags |
//! | `plain` | GET, PUT, DELETE and `/.watch` without `.json` |
//! | `stream` | server-sent events of both faces |
//! | `explore` | what the page asks for on the API port |
//! | `settings` | the rules in force, tokens for development |
//! | `fault` | errors as this protocol has them |

#[cfg(feature = "ui")]
pub(crate) mod explore;
mod face;
mod fault;
mod params;
mod plain;
mod prompt;
mod rest;
mod settings;
mod stream;
mod target;

pub(crate) use face::Face;

use super::{admit::check_site, problem::Problem};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use quintet_core::{Clock, SystemClock};
use std::time::Duration;
use target::Target;
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    cors::{AllowOrigin, CorsLayer},
};

/// The largest body, in bytes.
pub(crate) const BODY_BYTES: usize = 16 << 20;
/// Answers shorter than this are not worth compressing.
const COMPRESSED_FROM_BYTES: u64 = 1024;
/// How long a browser may keep what it was told about other origins.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3600);

/// Everything that the port answers.
pub(crate) fn router(face: Face) -> Router {
    let compressed = SizeAbove::new(COMPRESSED_FROM_BYTES).and(NotForContentType::SSE);
    Router::new()
        .route(
            "/.settings/rules.json",
            get(settings::rules).put(settings::put_rules),
        )
        .route("/auth/token", post(settings::token))
        .fallback(any)
        .layer(middleware::from_fn_with_state(face.clone(), admit))
        .layer(middleware::from_fn(fault::dress))
        .layer(middleware::from_fn_with_state(face.clone(), count))
        .layer(CompressionLayer::new().gzip(true).compress_when(compressed))
        .layer(cors())
        .with_state(face)
}

/// Any page may talk to the port, as it may to Firebase's; what it may do, rules and tokens decide. Without tokens see
/// [`admit`].
fn cors() -> CorsLayer {
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        HeaderName::from_static("x-firebase-etag"),
        HeaderName::from_static("last-event-id"),
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::PATCH,
            Method::POST,
            Method::DELETE,
        ])
        .allow_headers(headers)
        .expose_headers([header::ETAG])
        .max_age(PREFLIGHT_AGE)
}

/// Without tokens any page could read and write by any browser on this machine: those of other sites are refused.
async fn admit(State(face): State<Face>, request: Request, next: Next) -> Response {
    match check_site(face.tokens(), request.headers()) {
        Ok(()) => next.run(request).await,
        // No word of rules: it is told why.
        Err(error) => {
            Problem::of_status(StatusCode::FORBIDDEN, "foreign page", error.context()).into_response()
        }
    }
}

/// Counts the answers for those who watch the engine.
async fn count(State(face): State<Face>, request: Request, next: Next) -> Response {
    let began = SystemClock.now();
    let response = next.run(request).await;
    let took = SystemClock.now().saturating_duration_since(began);
    face.engine().answers().count(response.status().as_u16(), took);
    response
}

async fn any(State(face): State<Face>, request: Request) -> Response {
    let answer = match Target::of(request.uri().path()) {
        Ok(Target::Rest(path)) => rest::serve(face, path, request).await,
        Ok(Target::Plain(path)) => plain::serve(face, path, request).await,
        Ok(Target::Watch(path)) => plain::watch(face, path, request).await,
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}
