//! Errors as Firebase's protocol has them: `{"error": "…"}`, and 401 for what rules refuse.
//!
//! The outermost layer of the port. What a rule refused is told as `Permission denied` alone: the reason would describe data
//! that the client may not read. An administrator asks for it with `?explain=1`.

use crate::{
    journal::{self, Answered},
    port::{dress::Dressed, problem::Problem},
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use quintet_core::{Clock as _, ErrorKind, SystemClock};
use serde_json::json;

/// What rules answer.
const DENIED: &str = "Permission denied";

/// The layer.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let began = SystemClock.now();
    let mut response = next.run(request).await;
    let reason = response.extensions().get::<Problem>();
    journal::answered(&Answered {
        port: "tree",
        method: &method,
        path: uri.path(),
        status: response.status().as_u16(),
        reason: reason.map(Problem::detail),
        id: None,
        took: SystemClock.now().saturating_duration_since(began),
    });
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && response.extensions().get::<Dressed>().is_none() {
        return render(response, &format!("{method} {}", uri.path()));
    }
    response
}

fn render(response: Response, what: &str) -> Response {
    let (mut parts, _body) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>();
    let text = match &problem {
        Some(problem) if problem.is(ErrorKind::PermissionDenied) => {
            parts.status = StatusCode::UNAUTHORIZED;
            DENIED.to_owned()
        }
        Some(problem) => problem.detail().to_owned(),
        None if parts.status == StatusCode::METHOD_NOT_ALLOWED => {
            format!("{what}: the path knows other methods")
        }
        None => format!("{what}: {}", parts.status.canonical_reason().unwrap_or("error")),
    };
    if parts.status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        parts.headers.insert(header::WWW_AUTHENTICATE, scheme);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(json!({ "error": text }).to_string()))
}
