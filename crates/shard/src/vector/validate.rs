//! Everything that can be wrong with a request, looked at before any shard hears of it.

use crate::vector::{
    Filter, Metric, Point, PointId, Search, VectorConfig, VectorError,
    collection::{cost_bytes, payload_len, scale_of},
    entry::Collection,
    message::{Prepared, Query},
    record,
};
use serde_json::Value;
use std::collections::HashSet;

/// Larger numbers could make a distance infinite.
const MAX_ABS: f32 = 1e15;
/// Shorter vectors have no direction that single precision can hold.
const MIN_NORM: f64 = 1e-12;
const MAX_ID_BYTES: usize = 512;
/// Payloads are stored as text, and reading it back goes 127 objects and lists deep.
const MAX_PAYLOAD_DEPTH: usize = 100;

/// Checks a batch whole; answers the bytes of budget it needs.
pub(super) fn batch(
    collection: &Collection,
    config: &VectorConfig,
    points: &[Point],
) -> Result<u64, VectorError> {
    let (mut seen, mut cost, mut encoded_bytes) = (HashSet::new(), 0, 0);
    for (index, point) in points.iter().enumerate() {
        let refuse = |field, reason: String| {
            let id = point.id.clone();
            Err(VectorError::Point {
                index,
                id,
                field,
                reason,
            })
        };
        if let Err(reason) = id(&point.id) {
            return refuse("id", reason);
        }
        if !seen.insert(&point.id) {
            return refuse("id", "it occurs twice in the batch".to_owned());
        }
        if let Err(reason) = vector(collection, &point.vector) {
            return refuse("vector", reason);
        }
        if let Some(payload) = point.payload.as_deref()
            && !payload
                .values()
                .all(|value| nests_within(value, MAX_PAYLOAD_DEPTH - 1))
        {
            let reason = format!("objects and lists nest more than {MAX_PAYLOAD_DEPTH} deep");
            return refuse("payload", reason);
        }
        let payload_bytes = point.payload.as_deref().map_or(0, payload_len);
        if payload_bytes > config.max_payload_bytes {
            let reason = format!("{payload_bytes} bytes; at most {}", config.max_payload_bytes);
            return refuse("payload", reason);
        }
        cost += cost_bytes(&point.id, payload_bytes, collection.spec.dimension);
        encoded_bytes += record::point_bytes(point, payload_bytes);
        batch_bytes(encoded_bytes, config)?;
    }
    Ok(cost)
}

/// Whether objects and lists nest at most so deep. Looks no deeper.
fn nests_within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| nests_within(item, depth - 1)),
        Value::Object(fields) => depth > 0 && fields.values().all(|value| nests_within(value, depth - 1)),
        _ => true,
    }
}

/// Room for a record's head is part of the limit.
fn batch_bytes(encoded_bytes: usize, config: &VectorConfig) -> Result<(), VectorError> {
    let limit = config.max_batch_bytes - config.max_batch_bytes.min(64);
    if encoded_bytes > limit {
        return Err(VectorError::field(
            "points",
            format!("more than {limit} bytes; send smaller batches"),
        ));
    }
    Ok(())
}

/// Checks ids that are asked for or deleted.
pub(super) fn ids(config: &VectorConfig, ids: &[PointId]) -> Result<(), VectorError> {
    let mut encoded_bytes = 0;
    for (index, point) in ids.iter().enumerate() {
        id(point).map_err(|reason| VectorError::field("ids", format!("[{index}]: {reason}")))?;
        encoded_bytes += record::id_bytes(point);
    }
    batch_bytes(encoded_bytes, config)
}

/// Checks ids whose points are asked for.
pub(super) fn wanted_ids(config: &VectorConfig, wanted: &[PointId]) -> Result<(), VectorError> {
    if wanted.len() > config.max_k {
        let reason = format!("{}; at most {}", wanted.len(), config.max_k);
        return Err(VectorError::field("ids", reason));
    }
    ids(config, wanted)
}

fn id(id: &PointId) -> Result<(), String> {
    match id {
        PointId::Name(name) if name.is_empty() || name.len() > MAX_ID_BYTES => {
            Err(format!("{} bytes; a name has 1 to {MAX_ID_BYTES}", name.len()))
        }
        _ => Ok(()),
    }
}

fn vector(collection: &Collection, vector: &[f32]) -> Result<(), String> {
    let dimension = collection.spec.dimension;
    if vector.len() != dimension {
        return Err(format!(
            "{} numbers; the collection has dimension {dimension}",
            vector.len()
        ));
    }
    if let Some(at) = vector.iter().position(|x| !x.is_finite() || x.abs() > MAX_ABS) {
        return Err(format!(
            "[{at}] is {}; finite numbers up to {MAX_ABS:e}",
            vector[at]
        ));
    }
    let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if collection.spec.metric == Metric::Cosine && square.sqrt() < MIN_NORM {
        return Err(format!(
            "its length is below {MIN_NORM:e}: it has no direction, as the cosine needs"
        ));
    }
    Ok(())
}

/// A number of hits or of points a page.
pub(super) fn limit(field: &'static str, k: usize, config: &VectorConfig) -> Result<(), VectorError> {
    if k == 0 || k > config.max_k {
        return Err(VectorError::field(field, format!("{k}; 1 to {}", config.max_k)));
    }
    Ok(())
}

pub(super) fn filter(filter: Option<&Filter>) -> Result<(), VectorError> {
    filter.map_or(Ok(()), Filter::validate)
}

/// Checks a search and makes its queries ready for the kernels.
pub(super) fn search(
    collection: &Collection,
    config: &VectorConfig,
    search: Search,
) -> Result<Prepared, VectorError> {
    limit("k", search.k, config)?;
    filter(search.filter.as_ref())?;
    if let Some(ef) = search.ef.filter(|ef| *ef == 0 || *ef > config.max_k) {
        return Err(VectorError::field("ef", format!("{ef}; 1 to {}", config.max_k)));
    }
    let count = search.queries.len();
    if count == 0 || count > config.max_queries {
        return Err(VectorError::field(
            "vectors",
            format!("{count} queries; 1 to {}", config.max_queries),
        ));
    }
    if search.k.saturating_mul(count) > config.max_hits {
        let reason = format!(
            "{} for each of {count} queries; at most {} together",
            search.k, config.max_hits
        );
        return Err(VectorError::field("k", reason));
    }
    let mut queries = Vec::with_capacity(count);
    for (index, query) in search.queries.iter().enumerate() {
        vector(collection, query)
            .map_err(|reason| VectorError::field("vector", format!("query {index}: {reason}")))?;
        queries.push(Query {
            padded: crate::distance::padded(query),
            scale: scale_of(collection.spec.metric, query),
        });
    }
    let ef = search.ef.or(config.index.as_ref().map(|index| index.search_ef));
    let ef = ef.unwrap_or(search.k).max(search.k);
    // With a filter most of what is found on the way could be in vain.
    let may_follow = !search.exact && search.filter.is_none();
    let graph = collection.graph().filter(|_| may_follow);
    Ok(Prepared {
        queries,
        k: search.k,
        filter: search.filter,
        with: search.with,
        graph: graph.map(|graph| (graph, ef)),
        first: 0,
    })
}
