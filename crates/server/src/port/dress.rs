//! The outermost layer of the API port: every request gets an id, every error the same shape, every answer is counted.
//!
//! An id that the client sends in `x-request-id` is kept if it is short and printable, so that a trace through several
//! services keeps its name; otherwise one is made. Errors that axum answers itself (no such route, wrong method, a query
//! that does not parse) become problems here too.

use super::{
    api::Api,
    problem::{self, Problem},
    traffic,
};
use crate::journal::{self, Answered};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use quintet_core::{Clock, SystemClock};

/// The header of a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is kept, in bytes.
const LONGEST_ID: usize = 128;
/// The most bytes of axum's own words that are kept as a problem's detail.
const LONGEST_DETAIL: usize = 4096;

/// Marks an error whose body is to stay as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dressed;

/// The layer.
pub(crate) async fn dress(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = SystemClock.now();
    let group = traffic::group_of(request.uri().path());
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|id| is_fit(id))
        .cloned()
        .unwrap_or_else(|| api.next_id());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let reason = response.extensions().get::<Problem>();
    let reason = reason.map(|problem| problem.detail().to_owned());
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && response.extensions().get::<Dressed>().is_none() {
        response = render(response, &id, &format!("{method} {path}")).await;
    }
    let took = SystemClock.now().saturating_duration_since(began);
    api.traffic().count(group, response.status().as_u16(), took);
    journal::answered(&Answered {
        port: "api",
        method: &method,
        path: &path,
        status: response.status().as_u16(),
        reason: reason.as_deref(),
        id: id.to_str().ok(),
        took,
    });
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_fit(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// The same status and headers with a problem as the body.
async fn render(response: Response, id: &HeaderValue, what: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None => foreign(parts.status, body, what).await,
    };
    let text = problem.body(id.to_str().unwrap_or_default());
    parts.headers.remove(header::CONTENT_LENGTH);
    let media_type = HeaderValue::from_static(problem::CONTENT_TYPE);
    parts.headers.insert(header::CONTENT_TYPE, media_type);
    Response::from_parts(parts, Body::from(text))
}

/// What axum itself answered, as a problem.
async fn foreign(status: StatusCode, body: Body, what: &str) -> Problem {
    let said = axum::body::to_bytes(body, LONGEST_DETAIL)
        .await
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let kind = status.canonical_reason().unwrap_or("error").to_ascii_lowercase();
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => format!("{what}: the path knows other methods, see `Allow`"),
        StatusCode::NOT_FOUND if said.is_empty() => {
            format!("{what}: there is no such path, see /openapi.json")
        }
        _ if said.is_empty() => what.to_owned(),
        _ => said.into_owned(),
    };
    Problem::of_status(status, kind, detail)
}
