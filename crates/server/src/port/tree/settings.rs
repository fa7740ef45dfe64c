//! `/.settings/rules.json`: the rules in force, for administrators; and `/auth/token`, tokens for development.

use super::{
    face::Face,
    params::{Params, Print},
};
use crate::{
    auth::Mode,
    port::{body::Body as Received, problem::Problem},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use quintet_core::ErrorKind;
use quintet_tree::{Priority, rules::DOCUMENT_BYTES_MAX};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a token for development is valid.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The largest body of a request for one.
const CLAIMS_BYTES: usize = 8 << 10;
/// What stands for no rules.
const OPEN: &str = "{\"rules\": {\".read\": true, \".write\": true}}\n";

/// The rules as they were put.
pub(super) async fn rules(State(face): State<Face>, request: Request) -> Result<Response, Problem> {
    administer(&face, &request)?;
    let rules = face.engine().rules();
    let text = rules.map_or_else(|| OPEN.to_owned(), |rules| rules.text().to_owned());
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from(text)).into_response())
}

/// Puts rules in force.
pub(super) async fn put_rules(State(face): State<Face>, request: Request) -> Result<Response, Problem> {
    administer(&face, &request)?;
    let body = Received::read(request, face.bodies(), DOCUMENT_BYTES_MAX + 1).await?;
    let engine = std::sync::Arc::clone(face.engine());
    face.read(Priority::Control, move || {
        let text = std::str::from_utf8(body.bytes())
            .map_err(|error| Problem::invalid(format!("the rules are not UTF-8: {error}")))?;
        Ok::<_, Problem>(engine.put_rules(text)?)
    })
    .await?;
    face.answer(Print::Plain, &json!({ "status": "ok" }))
}

fn administer(face: &Face, request: &Request) -> Result<(), Problem> {
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    Ok(face.principal(request.headers(), &params)?.check_administer()?)
}

/// What a token is asked for with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    uid: String,
    email: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

/// A token for anybody who asks, where that is allowed.
pub(super) async fn token(State(face): State<Face>, request: Request) -> Result<Response, Problem> {
    if face.tokens().mode() == Mode::Off {
        return Err(Problem::new(ErrorKind::NotFound, "authentication is off"));
    }
    if !face.makes_tokens() {
        let why = "tokens are not made here; --auth-allow-token-creation is for development";
        return Err(Problem::of_status(
            axum::http::StatusCode::FORBIDDEN,
            "forbidden",
            why,
        ));
    }
    let body = Received::read(request, face.bodies(), CLAIMS_BYTES).await?;
    let wanted: Wanted = serde_json::from_slice(body.bytes())
        .map_err(|error| Problem::invalid(format!("expected {{\"uid\": \"…\"}}: {error}")))?;
    let mut claims = wanted.claims;
    if let Some(email) = wanted.email {
        claims.insert("email".to_owned(), email.into());
    }
    let token = face.tokens().sign(&wanted.uid, claims, LIFETIME)?;
    let answer = json!({ "token": token, "expires_in": LIFETIME.as_secs() });
    face.answer(Print::Plain, &answer)
}
