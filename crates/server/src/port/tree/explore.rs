//! What the page asks of the tree, below `/ui/tree` on the API port, so that the page needs no second origin.
//!
//! | route | answer |
//! |---|---|
//! | `GET /ui/tree/children?path=/a&after=name&limit=200` | one level, page by page: `{"seq", "leaf"?, "children": [{"name", "value"? }], "has_more"}` |
//! | `GET /ui/tree/changes?path=/a` | server-sent events: every change from now on |
//! | `GET PUT POST DELETE /ui/tree/values/a.json` | as on the tree's own port |
//!
//! Who may do what is decided as on the tree's own port, by tokens and rules; errors are the API port's. A child with a
//! `value` is a leaf; of a long text the beginning is shown, with its `length` in bytes.

use super::{face::Face, params::Params, rest, stream, target::Target};
use crate::{
    config::TreeConfig,
    engine::{Mount, tree::TreeEngine},
    port::{
        answer,
        api::{Api, Routes},
        problem::Problem,
    },
};
use axum::{
    Extension, Router,
    extract::{Query, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use quintet_core::{Clock, SystemClock};
use quintet_tree::{Child, Path, Priority, Value};
use serde::Deserialize;
use serde_json::json;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Children of a page, if the request does not say, and at most.
const PAGE: usize = 200;
const MOST: usize = 1000;
/// What is shown of a text in a list, in bytes.
const SHOWN_BYTES: usize = 400;

/// The page's way to the tree. Clones are the same.
#[derive(Clone)]
struct Door {
    mount: Mount<TreeEngine>,
    config: TreeConfig,
    face: Arc<OnceLock<Face>>,
}

/// The routes.
pub(crate) fn routes(mount: &Mount<TreeEngine>, config: &TreeConfig) -> Routes {
    let door = Door {
        mount: mount.clone(),
        config: config.clone(),
        face: Arc::default(),
    };
    let values = Router::new().route("/{*path}", any(value));
    let router = Router::new()
        .route("/ui/tree/children", get(children))
        .route("/ui/tree/changes", get(changes))
        .nest("/ui/tree/values", values)
        .layer(Extension(door));
    Routes { router }
}

impl Door {
    /// The tree's face, made once it is open.
    fn face(&self, api: &Api) -> Result<Face, Problem> {
        let engine = self.mount.get()?;
        let make = || Face::new(engine, Arc::clone(api.tokens()), api.life().clone(), &self.config);
        Ok(self.face.get_or_init(make).clone())
    }
}

/// Counts an answer among the tree's.
fn counted(face: &Face, began: Instant, answer: Result<Response, Problem>) -> Response {
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    let took = SystemClock.now().saturating_duration_since(began);
    face.engine().answers().count(response.status().as_u16(), took);
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: String,
    after: Option<String>,
    limit: Option<usize>,
}

impl Place {
    fn path(&self) -> Result<Path, Problem> {
        Ok(self.path.parse::<Path>()?)
    }
}

async fn children(
    State(api): State<Api>,
    door: Extension<Door>,
    Query(place): Query<Place>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (face, began) = (door.face(&api)?, SystemClock.now());
    let answer = listed(&face, place, &headers).await;
    Ok(counted(&face, began, answer))
}

async fn listed(face: &Face, place: Place, headers: &HeaderMap) -> Result<Response, Problem> {
    let path = place.path()?;
    let limit = place.limit.unwrap_or(PAGE);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("limit: must be 1 to {MOST}")));
    }
    let reader = face.to_read(headers, &Params::default())?.reader(face.engine());
    face.read(Priority::Read, move || {
        let listing = reader.listing(&path, place.after.as_deref(), limit)?;
        let children: Vec<Value> = listing.children.iter().map(shown).collect();
        let mut body = json!({
            "seq": listing.seq.0,
            "children": children,
            "has_more": listing.has_more,
        });
        if let Some(leaf) = &listing.leaf {
            body["leaf"] = cut(leaf).unwrap_or_else(|| leaf.clone());
        }
        Ok(answer::ok(&body))
    })
    .await
}

fn shown(child: &Child) -> Value {
    match &child.leaf {
        None => json!({ "name": child.name }),
        Some(Value::String(text)) if text.len() > SHOWN_BYTES => json!({
            "name": child.name,
            "value": text[..text.floor_char_boundary(SHOWN_BYTES)],
            "length": text.len(),
        }),
        Some(leaf) => json!({ "name": child.name, "value": leaf }),
    }
}

fn cut(leaf: &Value) -> Option<Value> {
    let text = leaf.as_str().filter(|text| text.len() > SHOWN_BYTES)?;
    Some(text[..text.floor_char_boundary(SHOWN_BYTES)].into())
}

async fn changes(
    State(api): State<Api>,
    door: Extension<Door>,
    Query(place): Query<Place>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (face, began, path) = (door.face(&api)?, SystemClock.now(), place.path()?);
    let answer = stream::changes(face.clone(), path, &headers).await;
    Ok(counted(&face, began, answer))
}

async fn value(State(api): State<Api>, door: Extension<Door>, request: Request) -> Result<Response, Problem> {
    let (face, began) = (door.face(&api)?, SystemClock.now());
    let answer = match Target::of(request.uri().path()) {
        Ok(Target::Rest(path)) => rest::serve(face.clone(), path, request).await,
        Ok(_) => Err(Problem::invalid("a value's path ends in .json")),
        Err(problem) => Err(problem),
    };
    Ok(counted(&face, began, answer))
}
