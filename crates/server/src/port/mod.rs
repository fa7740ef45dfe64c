//! The web-shaped ports: HTTP by axum on one tokio runtime, in front of engines that know neither.
//!
//! | file | role |
//! |---|---|
//! | `api` | the API port: its shared state, the one place where routes are registered, its life as a part |
//! | `listener` | any HTTP port: accepting, limits, draining; takes a router |
//! | `quotes` | request lines with quotes in them, as people type URLs |
//! | `offload` | engine calls on a bounded pool of threads, back-pressure |
//! | `dress` | the outermost layer: request ids, problems as bodies, traffic figures |
//! | `admit` | who may use the API port |
//! | `admin` | what only administrators may: backups |
//! | `problem`, `body`, `answer` | errors out, bodies in, bodies out |
//! | `health`, `metrics`, `traffic` | `/livez` and its neighbours |
//! | `kv` with `kv_value` and `kv_wait`, `vectors`, `stm`, `workflows` | the routes of one engine each |
//! | `tree` | the tree's own port |

pub(crate) mod admin;
mod admit;
mod answer;
pub(crate) mod api;
mod body;
mod dress;
mod health;
#[cfg(all(test, feature = "kv", feature = "stm"))]
mod health_tests;
#[cfg(feature = "kv")]
pub(crate) mod kv;
#[cfg(feature = "kv")]
mod kv_value;
#[cfg(feature = "kv")]
mod kv_wait;
pub(crate) mod life;
pub(crate) mod listener;
pub(crate) mod metrics;
mod offload;
mod problem;
mod quotes;
#[cfg(feature = "stm")]
pub(crate) mod stm;
pub(crate) mod traffic;
#[cfg(feature = "tree")]
pub(crate) mod tree;
#[cfg(feature = "shard")]
pub(crate) mod vectors;
#[cfg(feature = "stm")]
pub(crate) mod workflows;

pub(crate) use offload::THREADS as BLOCKING_THREADS;
