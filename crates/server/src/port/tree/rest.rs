//! Firebase's REST protocol: one place per request, its value as JSON.
//!
//! A small document is read where its request comes in; every other read runs in a snapshot on the tree's pool. A write is
//! sent to the tree's writer and waited for without a thread; it is answered when it is on stable storage.

use super::{
    face::{Access, Face},
    params::{Params, Print},
    stream,
};
use crate::port::{dress::Dressed, problem::Problem};
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use quintet_core::ErrorKind;
use quintet_tree::{
    ETag, Outcome, Path, Priority, Value, Write,
    rules::{Auth, Rules, RulesGuard},
};
use serde_json::json;
use std::sync::Arc;

/// Asks for the tag of the value.
const WANTS_ETAG: HeaderName = HeaderName::from_static("x-firebase-etag");
/// Names a query's missing index.
const WARNING: HeaderName = HeaderName::from_static("x-quintet-warning");
/// The method that is meant, for clients that can only send some.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// Serves one request.
pub(super) async fn serve(face: Face, path: Path, request: Request) -> Result<Response, Problem> {
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    let method = method(&request)?;
    if params.is_explained {
        return explain(face, path, &method, params, request).await;
    }
    match method {
        Method::GET | Method::HEAD if wants_stream(request.headers()) => {
            stream::firebase(face, path, params, request.headers()).await
        }
        Method::GET | Method::HEAD => read(face, path, params, request.headers()).await,
        Method::PUT | Method::PATCH | Method::POST | Method::DELETE => {
            let access = face.to_write(request.headers(), &params)?;
            let tag = if_match(request.headers(), &method)?;
            let place = path.clone();
            let (write, name) = write_of(&face, path, &method, request).await?;
            let write = match tag {
                Some(tag) => write.if_match(tag),
                None => write,
            };
            let outcome = face.write(access.write(write)).await?;
            done(&face, outcome, &place, &method, name, &params)
        }
        _ => {
            let allowed = "GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS";
            Err(Problem::of_status(
                StatusCode::METHOD_NOT_ALLOWED,
                "method not allowed",
                format!("there are {allowed}"),
            )
            .header(header::ALLOW, allowed))
        }
    }
}

fn method(request: &Request) -> Result<Method, Problem> {
    match request.headers().get(METHOD_OVERRIDE) {
        None => Ok(request.method().clone()),
        Some(meant) => Method::from_bytes(meant.as_bytes())
            .map_err(|_| Problem::invalid("x-http-method-override: not a method")),
    }
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/event-stream"))
}

fn if_match(headers: &HeaderMap, method: &Method) -> Result<Option<ETag>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    if *method != Method::PUT && *method != Method::DELETE {
        return Err(Problem::invalid("if-match: it stands with PUT and DELETE alone"));
    }
    let tag = tag
        .to_str()
        .map_err(|_| Problem::invalid("if-match: not a tag"))?;
    Ok(Some(ETag::from(tag.trim().trim_matches('"'))))
}

async fn read(face: Face, path: Path, params: Params, headers: &HeaderMap) -> Result<Response, Problem> {
    let access = face.to_read(headers, &params)?;
    let wants_tag = headers.contains_key(WANTS_ETAG) || headers.contains_key(header::IF_NONE_MATCH);
    if wants_tag && params.query.is_some() {
        return Err(Problem::invalid("X-Firebase-ETag: a query has no tag"));
    }
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|tag| tag.to_str().ok())
        .map(|tag| tag.trim().trim_matches('"').to_owned());
    let reader = access.reader(face.engine());
    let is_plain = params.query.is_none() && !wants_tag && !params.is_shallow;
    if is_plain && params.print == Print::Plain {
        return match face.read_now(&reader, &path) {
            Ok(text) => face.text(text?),
            Err(priority) => face.text(face.read(priority, move || Ok(reader.get_json(&path)?)).await?),
        };
    }
    let own = face.clone();
    face.read(Priority::Read, move || {
        if let Some(query) = &params.query {
            let answer = reader.query(&path, query)?;
            let rows = answer.unindexed_rows;
            let mut response = own.answer(params.print, &answer.into_value())?;
            if let Some(rows) = rows {
                let text = format!(
                    "{rows} children were looked at; declare .indexOn {} for {path}",
                    query.order_by
                );
                // Names of children may have characters that a header cannot.
                if let Ok(text) = HeaderValue::try_from(text) {
                    response.headers_mut().insert(WARNING, text);
                }
            }
            return Ok(response);
        }
        if wants_tag {
            let (value, tag) = reader.get_with_etag(&path)?;
            let mut response = if known.as_deref() == Some(tag.as_str()) {
                StatusCode::NOT_MODIFIED.into_response()
            } else {
                own.answer(params.print, &value)?
            };
            put_tag(&mut response, &tag);
            return Ok(response);
        }
        let value = if params.is_shallow {
            reader.get_shallow(&path, 1)
        } else {
            reader.get(&path)
        };
        own.answer(params.print, &value?)
    })
    .await
}

fn put_tag(response: &mut Response, tag: &ETag) {
    if let Ok(tag) = HeaderValue::try_from(tag.as_str()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// The write that a request means, and the name of the child that it makes.
async fn write_of(
    face: &Face,
    path: Path,
    method: &Method,
    request: Request,
) -> Result<(Write, Option<String>), Problem> {
    if *method == Method::DELETE {
        return Ok((Write::delete(path), None));
    }
    let value = face.document(request).await?;
    if *method == Method::PUT {
        return Ok((Write::set(path, value), None));
    }
    if *method == Method::POST {
        let name = face.engine().tree().next_push_id();
        let child = path.child(&name)?;
        return Ok((Write::set(child, value), Some(name)));
    }
    let Value::Object(fields) = value else {
        return Err(Problem::invalid(
            "Invalid data; a PATCH needs a JSON object: paths and their new values",
        ));
    };
    let changes = fields
        .into_iter()
        .map(|(relative, value)| {
            let below = relative.parse::<Path>()?;
            if below.is_root() {
                return Err(Problem::invalid(format!(
                    "Invalid data; {relative:?} names nothing below the path of the PATCH"
                )));
            }
            Ok((below, value))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok((Write::update(path, changes), None))
}

fn done(
    face: &Face,
    outcome: Outcome,
    place: &Path,
    method: &Method,
    name: Option<String>,
    params: &Params,
) -> Result<Response, Problem> {
    let written = match outcome {
        Outcome::Written(written) => written,
        Outcome::Mismatch { etag, value } => {
            let mut response = face.answer(params.print, &value)?;
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            response.extensions_mut().insert(Dressed);
            put_tag(&mut response, &etag);
            return Ok(response);
        }
    };
    if let Some(name) = name {
        return face.answer(params.print, &json!({ "name": name }));
    }
    if *method == Method::PATCH {
        let changes = written.changes.iter();
        let values: serde_json::Map<String, Value> = changes
            .map(|(path, value)| {
                let relative = path.relative_to(place).unwrap_or_default().to_string();
                (relative.trim_start_matches('/').to_owned(), value.clone())
            })
            .collect();
        return face.answer(params.print, &Value::Object(values));
    }
    face.answer(params.print, written.value())
}

/// What the rules decide about the request, and why; nothing is done.
async fn explain(
    face: Face,
    path: Path,
    method: &Method,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let principal = face.principal(request.headers(), &params)?;
    principal.check_administer()?;
    let Some(rules) = face.engine().rules() else {
        return Err(Problem::new(
            ErrorKind::NotFound,
            "no rules are in force: everything is allowed to who may enter",
        ));
    };
    let guard = Arc::new(explaining(rules, params.explained_as.clone())?);
    let access = Access {
        principal,
        guard: Some(Arc::clone(&guard) as _),
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        let reader = access.reader(face.engine());
        let asked = face
            .read(Priority::Control, move || Ok(reader.get_shallow(&path, 1)))
            .await?;
        refused(asked.map_err(Problem::from).map(drop))?;
    } else {
        let (write, _name) = write_of(&face, path, method, request).await?;
        let asked = face.write(access.write(write)).await;
        refused(asked.map(drop))?;
    }
    let decisions: Vec<Value> = guard.decisions().iter().map(decision).collect();
    let allowed = guard.decisions().iter().all(|decision| decision.allowed);
    face.answer(
        params.print,
        &json!({ "allowed": allowed, "decisions": decisions }),
    )
}

fn explaining(rules: Arc<Rules>, asked_as: Option<Value>) -> Result<RulesGuard, Problem> {
    let auth = asked_as.unwrap_or_default();
    let auth = Auth::of_variable(auth).ok_or_else(|| {
        Problem::invalid("as: the variable `auth` is null or an object: {\"uid\": \"ada\", \"token\": {}}")
    })?;
    Ok(RulesGuard::explaining(rules, auth))
}

/// An explaining guard refuses everything; any other error is the request's own.
fn refused(asked: Result<(), Problem>) -> Result<(), Problem> {
    match asked {
        Err(problem) if !problem.is(ErrorKind::PermissionDenied) => Err(problem),
        _ => Ok(()),
    }
}

fn decision(decision: &quintet_tree::rules::Decision) -> Value {
    use quintet_tree::rules::Outcome as Came;
    let trace = decision.trace.iter().map(|trace| {
        let outcome = match &trace.outcome {
            Came::True => "true".to_owned(),
            Came::False => "false".to_owned(),
            Came::Failed(why) => format!("fails: {why}"),
        };
        json!({
            "rule": &*trace.rule,
            "line": trace.line,
            "expression": &*trace.expression,
            "path": trace.path,
            "outcome": outcome,
        })
    });
    json!({ "allowed": decision.allowed, "reason": decision.reason, "trace": trace.collect::<Vec<_>>() })
}
