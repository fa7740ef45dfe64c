//! The page at `/`: an overview of the engines, the tree and the vectors, for people with a browser.
//!
//! Its files are in the binary (`assets`) and are sent as they are: no build step, nothing from elsewhere. Everything that it
//! shows it asks for on the API port, by the same routes and with the same tokens as any client. The files themselves are
//! sent to anybody. The policy below lets it run and reach nothing but this port: no inline script or style, no text that
//! becomes markup.

mod assets;

use crate::port::api::{Api, Routes};
use assets::{ASSETS, Asset};
use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// What a browser may do for the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every file, beside its type and its tag. A copy is used again only after it was asked for: a server that
/// was replaced must not meet the files of the old one.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-cache"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The routes of all files.
pub(crate) fn routes() -> Routes {
    let router = ASSETS.iter().fold(Router::<Api>::new(), |router, asset| {
        let serve = move |headers: HeaderMap| async move { respond(asset, &headers) };
        router.route(asset.path, get(serve))
    });
    Routes { router }
}

fn respond(asset: &Asset, request: &HeaderMap) -> Response {
    let tag = asset.tag();
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.text.into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
