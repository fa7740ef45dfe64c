//! Who may use the API port: every request is asked for its token, but for the paths that say whether the server lives.
//!
//! GET and HEAD read, and so do searches, whatever their method; everything else writes. There are no rules here: a role
//! decides (see [`quintet_core::auth::Role`]). Where nobody is asked, pages of other sites are refused. A layer inside [`dress`](super::dress), so that a refusal has a body and an id.

use super::{api::Api, problem::Problem};
use crate::auth::Tokens;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use quintet_core::{
    Error, ErrorKind,
    auth::{Authenticator, Principal, bearer},
};

/// Paths that need no token: what balancers and strangers may know. The page's files are among them, as a browser asks for them
/// without one; and its way to the tree, where the tree's own rules decide.
const OPEN: [&str; 4] = ["/livez", "/readyz", "/version", "/openapi.json"];

/// The layer.
pub(crate) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !OPEN.contains(&path) {
        if let Err(error) = check_site(api.tokens(), request.headers()) {
            return Problem::from(error).into_response();
        }
        if !is_page(path)
            && let Err(problem) = check(&api, request.method(), path, request.headers())
        {
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// Whether a page may have sent this, where that matters. A header that is no text is known to nobody.
pub(super) fn check_site(tokens: &Tokens, headers: &HeaderMap) -> Result<(), Error> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    tokens.check_site(text(header::HOST), text(header::ORIGIN))
}

fn check(api: &Api, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let reads = matches!(*method, Method::GET | Method::HEAD) || is_search(method, path);
    let may = principal(api, headers).and_then(|principal| {
        if reads {
            principal.check_read()
        } else {
            principal.check_write()
        }
    });
    may.map_err(|error| {
        let problem = Problem::from(error);
        if problem.is(ErrorKind::Unauthenticated) {
            problem.header(header::WWW_AUTHENTICATE, "Bearer")
        } else {
            problem
        }
    })
}

pub(super) fn principal(api: &Api, headers: &HeaderMap) -> Result<Principal, Error> {
    // What is no bearer token is presented as the empty one, which nobody has.
    let token = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().ok().and_then(bearer).unwrap_or_default());
    api.tokens().authenticate(token)
}

fn is_page(path: &str) -> bool {
    cfg!(feature = "ui") && (path == "/" || path.starts_with("/ui/"))
}

fn is_search(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.starts_with("/v1/vectors/") && path.ends_with("/search")
}
