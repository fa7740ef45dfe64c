//! Answers: JSON bodies, made where the engine's call was made.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A JSON body with a status.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = match serde_json::to_vec(body) {
        Ok(bytes) => bytes,
        // Answers are made of maps with text keys and finite numbers, so this is a mistake of ours.
        Err(error) => {
            let error = quintet_core::Error::new(quintet_core::ErrorKind::Io, error.to_string());
            return super::problem::Problem::from(error).into_response();
        }
    };
    let content_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
}

/// A JSON body with 200.
pub(crate) fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}
