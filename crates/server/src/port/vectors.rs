//! The vector store's routes: `/v1/vectors`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/vectors` | | `{"collections": [name]}` |
//! | `PUT /v1/vectors/{c}` | `{"dimension", "metric", "budget_bytes"?}` | 201 |
//! | `GET /v1/vectors/{c}` | | `{"dimension", "metric", "count", "bytes", "budget_bytes", "cold_bytes"}` |
//! | `DELETE /v1/vectors/{c}` | | `{"dropped": name}` |
//! | `PUT /v1/vectors/{c}/points` | `{"points": [{"id", "vector", "payload"?}]}` | `{"stored": n}` |
//! | `POST /v1/vectors/{c}/get` | `{"ids": [id], "with"?}` | `{"points": [point or null]}` |
//! | `POST /v1/vectors/{c}/scroll` | `{"after"?, "limit"?, "with"?}` | `{"points": [point]}` |
//! | `POST /v1/vectors/{c}/count` | `{"filter"?}` | `{"count": n}` |
//! | `POST /v1/vectors/{c}/delete` | `{"ids": [id]}` | `{"deleted": n}` |
//! | `POST /v1/vectors/{c}/search` | `{"vector" or "vectors", "k", "exact"?, "ef"?, "filter"?, "with"?}` | `{"hits": [hit]}`, or a list of such |
//!
//! `get` takes as many ids as a scroll has points, 10 000 at most; what one shard answers, names, vectors and payloads, is at
//! most 64 MiB. Beyond either the request is refused.

use super::{
    answer,
    api::{Api, Routes},
    body::{self, Body},
    problem::Problem,
};
use crate::engine::{
    Mount,
    vectors::{DEFAULT_BUDGET_BYTES, VectorsEngine},
};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post, put},
};
use quintet_shard::vector::{Filter, Hit, Metric, Payload, Point, PointId, Search, Spec, VectorClient, With};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest body of a batch of points or a search, in bytes.
const BODY_BYTES: usize = 32 << 20;
/// What a page of a scroll has if the request does not say.
const PAGE: usize = 100;

type Answer = Result<Response, Problem>;

/// The routes.
pub(crate) fn routes(mount: &Mount<VectorsEngine>) -> Routes {
    let large = Router::new()
        .route("/v1/vectors/{collection}/points", put(upsert))
        .route("/v1/vectors/{collection}/search", post(search))
        .route("/v1/vectors/{collection}/delete", post(delete))
        .route("/v1/vectors/{collection}/get", post(fetch));
    let router = Router::new()
        .route("/v1/vectors", get(list))
        .route(
            "/v1/vectors/{collection}",
            put(create).get(info).delete(drop_collection),
        )
        .route("/v1/vectors/{collection}/scroll", post(scroll))
        .route("/v1/vectors/{collection}/count", post(count))
        .merge(body::limited(large, BODY_BYTES))
        .layer(axum::Extension(mount.clone()));
    Routes { router }
}

type Mounted = axum::Extension<Mount<VectorsEngine>>;

/// Runs `work` with a client where it may block.
async fn call(
    api: &Api,
    mount: &Mounted,
    work: impl FnOnce(&mut VectorClient) -> Answer + Send + 'static,
) -> Answer {
    api.call(mount, move |engine| {
        let answer = engine.with(|client| Ok(work(client)))?;
        if let Err(problem) = &answer
            && problem.is(quintet_core::ErrorKind::Poisoned)
        {
            engine.has_failed(problem.detail());
        }
        answer
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCollection {
    dimension: usize,
    metric: MetricName,
    budget_bytes: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum MetricName {
    L2,
    InnerProduct,
    Cosine,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Name(String),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WirePoint {
    id: Id,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    vector: Vec<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Arc<Payload>>,
}

#[derive(Serialize)]
struct WireHit {
    id: Id,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Arc<Payload>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
}

#[derive(Serialize)]
struct Hits {
    hits: Vec<WireHit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    points: Vec<WirePoint>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Part {
    Payload,
    Vector,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<Id>,
    #[serde(default)]
    with: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    after: Option<Id>,
    limit: Option<usize>,
    #[serde(default)]
    with: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    filter: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    vector: Option<Vec<f32>>,
    vectors: Option<Vec<Vec<f32>>>,
    k: usize,
    #[serde(default)]
    exact: bool,
    ef: Option<usize>,
    filter: Option<Value>,
    #[serde(default)]
    with: Vec<Part>,
}

impl From<Id> for PointId {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => Self::Number(number),
            Id::Name(name) => Self::Name(name.into()),
        }
    }
}

impl From<PointId> for Id {
    fn from(id: PointId) -> Self {
        match id {
            PointId::Number(number) => Self::Number(number),
            PointId::Name(name) => Self::Name(name.as_ref().to_owned()),
        }
    }
}

impl From<Point> for WirePoint {
    fn from(point: Point) -> Self {
        Self {
            id: point.id.into(),
            vector: point.vector,
            payload: point.payload,
        }
    }
}

impl From<Hit> for WireHit {
    fn from(hit: Hit) -> Self {
        Self {
            id: hit.id.into(),
            score: hit.score,
            payload: hit.payload,
            vector: hit.vector,
        }
    }
}

fn with(parts: &[Part]) -> With {
    With {
        payload: parts.contains(&Part::Payload),
        vector: parts.contains(&Part::Vector),
    }
}

fn filter(json: Option<&Value>) -> Result<Option<Filter>, Problem> {
    let filter = json.map(Filter::from_json).transpose();
    filter.map_err(|error| quintet_core::Error::from(error).into())
}

fn point_ids(ids: Vec<Id>) -> Vec<PointId> {
    ids.into_iter().map(PointId::from).collect()
}

async fn list(State(api): State<Api>, mount: Mounted) -> Answer {
    call(&api, &mount, |client| {
        Ok(answer::ok(&json!({ "collections": client.list() })))
    })
    .await
}

async fn create(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let wanted: NewCollection = body.json()?;
        let spec = Spec {
            dimension: wanted.dimension,
            metric: match wanted.metric {
                MetricName::L2 => Metric::L2,
                MetricName::InnerProduct => Metric::InnerProduct,
                MetricName::Cosine => Metric::Cosine,
            },
            budget_bytes: wanted.budget_bytes.unwrap_or(DEFAULT_BUDGET_BYTES),
        };
        client.create(&name, spec)?;
        let made = json!({
            "dimension": spec.dimension,
            "metric": wanted.metric,
            "budget_bytes": spec.budget_bytes,
        });
        Ok(answer::json(StatusCode::CREATED, &made))
    })
    .await
}

async fn info(State(api): State<Api>, mount: Mounted, Path(name): Path<String>) -> Answer {
    call(&api, &mount, move |client| {
        let info = client.info(&name)?;
        let metric = match info.spec.metric {
            Metric::L2 => MetricName::L2,
            Metric::InnerProduct => MetricName::InnerProduct,
            Metric::Cosine => MetricName::Cosine,
        };
        Ok(answer::ok(&json!({
            "dimension": info.spec.dimension,
            "metric": metric,
            "count": info.count,
            "bytes": info.bytes,
            "budget_bytes": info.spec.budget_bytes,
            "cold_bytes": info.cold_bytes,
        })))
    })
    .await
}

async fn drop_collection(State(api): State<Api>, mount: Mounted, Path(name): Path<String>) -> Answer {
    call(&api, &mount, move |client| {
        client.drop_collection(&name)?;
        Ok(answer::ok(&json!({ "dropped": name })))
    })
    .await
}

async fn upsert(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let batch: Batch = body.json()?;
        let points = batch.points.into_iter().map(|point| Point {
            id: point.id.into(),
            vector: point.vector,
            payload: point.payload,
        });
        let stored = client.upsert(&name, points.collect())?;
        Ok(answer::ok(&json!({ "stored": stored })))
    })
    .await
}

async fn delete(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let ids: Ids = body.json()?;
        let deleted = client.delete(&name, point_ids(ids.ids))?;
        Ok(answer::ok(&json!({ "deleted": deleted })))
    })
    .await
}

async fn fetch(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let ids: Ids = body.json()?;
        let points = client.get(&name, point_ids(ids.ids), with(&ids.with))?;
        let points: Vec<Option<WirePoint>> = points
            .into_iter()
            .map(|found| found.map(WirePoint::from))
            .collect();
        Ok(answer::ok(&json!({ "points": points })))
    })
    .await
}

async fn scroll(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let page: Page = body.json()?;
        let (after, limit) = (page.after.map(PointId::from), page.limit.unwrap_or(PAGE));
        let points = client.scroll(&name, after, limit, with(&page.with))?;
        let points: Vec<WirePoint> = points.into_iter().map(WirePoint::from).collect();
        Ok(answer::ok(&json!({ "points": points })))
    })
    .await
}

async fn count(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let count: Count = body.json()?;
        let count = client.count(&name, filter(count.filter.as_ref())?)?;
        Ok(answer::ok(&json!({ "count": count })))
    })
    .await
}

async fn search(State(api): State<Api>, mount: Mounted, Path(name): Path<String>, body: Body) -> Answer {
    call(&api, &mount, move |client| {
        let query: Query = body.json()?;
        drop(body);
        let (queries, is_one) = match (query.vector, query.vectors) {
            (Some(vector), None) => (vec![vector], true),
            (None, Some(vectors)) => (vectors, false),
            _ => {
                return Err(Problem::invalid(
                    "one of `vector` and `vectors` is needed, and not both",
                ));
            }
        };
        let mut search = Search::many(queries, query.k).with(with(&query.with));
        (search.exact, search.ef) = (query.exact, query.ef);
        search.filter = filter(query.filter.as_ref())?;
        let found = client.search_many(&name, search)?;
        let mut found = found.into_iter().map(|hits| Hits {
            hits: hits.into_iter().map(WireHit::from).collect(),
        });
        if is_one {
            let hits = found.next().unwrap_or(Hits { hits: Vec::new() });
            return Ok(answer::ok(&hits));
        }
        Ok(answer::ok(&found.collect::<Vec<_>>()))
    })
    .await
}
