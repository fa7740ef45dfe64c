//! The plain face: `GET`, `PUT` and `DELETE` of a path, 404 for what is not there, and `/.watch` for its changes.

use super::{
    face::Face,
    params::{Params, Print},
    stream,
};
use crate::port::problem::Problem;
use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    response::Response,
};
use quintet_core::ErrorKind;
use quintet_tree::{Outcome, Path, Priority, Write};

/// Serves one request.
pub(super) async fn serve(face: Face, path: Path, request: Request) -> Result<Response, Problem> {
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    let method = request.method().clone();
    match method {
        Method::GET | Method::HEAD => {
            let access = face.to_read(request.headers(), &params)?;
            let reader = access.reader(face.engine());
            let mut priority = Priority::Read;
            if params.print == Print::Plain {
                match face.read_now(&reader, &path) {
                    Ok(text) => {
                        let text = text?;
                        return if text == b"null" {
                            Err(nothing(&path))
                        } else {
                            face.text(text)
                        };
                    }
                    Err(other) => priority = other,
                }
            }
            let own = face.clone();
            face.read(priority, move || {
                let value = reader.get(&path)?;
                if value.is_null() {
                    return Err(nothing(&path));
                }
                own.answer(params.print, &value)
            })
            .await
        }
        Method::PUT | Method::DELETE => {
            let access = face.to_write(request.headers(), &params)?;
            let write = if method == Method::DELETE {
                Write::delete(path)
            } else {
                Write::set(path, face.document(request).await?)
            };
            match face.write(access.write(write)).await? {
                Outcome::Written(written) => face.answer(params.print, written.value()),
                Outcome::Mismatch { .. } => Err(Problem::new(ErrorKind::Conflict, "the value has changed")),
            }
        }
        _ => Err(not_allowed("GET, HEAD, PUT, DELETE, OPTIONS")),
    }
}

/// Streams the changes of a place.
pub(super) async fn watch(face: Face, path: Path, request: Request) -> Result<Response, Problem> {
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    match *request.method() {
        Method::GET => stream::plain(face, path, params, request.headers()).await,
        _ => Err(not_allowed("GET, OPTIONS")),
    }
}

fn nothing(path: &Path) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("there is nothing at {path}"))
}

fn not_allowed(allowed: &'static str) -> Problem {
    let detail = format!("there are {allowed}; with .json at the end there is more");
    Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
        .header(header::ALLOW, allowed)
}
