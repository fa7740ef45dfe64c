//! The datastore's routes: `/v1/kv`.

use super::{
    answer,
    api::{Api, Routes},
    problem::Problem,
};
use crate::engine::{Mount, kv::KvEngine};
use axum::{
    Extension, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use quintet_core::ErrorKind;
use serde_json::json;

type Answer = Result<Response, Problem>;
type Mounted = Extension<Mount<KvEngine>>;

/// The routes.
pub(crate) fn routes(mount: &Mount<KvEngine>) -> Routes {
    let router = Router::new()
        .route("/v1/kv/{namespace}/{key}", get(read))
        .layer(Extension(mount.clone()));
    Routes { router }
}

async fn read(State(api): State<Api>, mount: Mounted, Path((namespace, key)): Path<(u8, String)>) -> Answer {
    api.call(&mount, move |engine| {
        let full = [&[namespace], key.as_bytes()].concat();
        match engine.store.get_versioned(&full)? {
            Some((value, version)) => Ok(answer::ok(&json!({
                "key": key, "value": quintet_kv::to_json(&value), "version": version }))),
            None => Err(Problem::new(ErrorKind::NotFound, format!("no key `{key}`"))),
        }
    })
    .await
}
