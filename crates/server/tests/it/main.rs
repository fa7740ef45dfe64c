//! The real binary, from the outside.

mod api;
mod auth;
mod backup;
mod cli;
#[path = "../../../blockstore/tests/it/client.rs"]
#[expect(
    dead_code,
    reason = "shared with the block store's own tests, which use all of it"
)]
mod client;
mod crash;
mod crash_api;
mod curl;
mod data_dir;
mod docs;
mod fsck;
mod idle;
mod journal;
mod kv_routes;
mod life;
mod manners;
mod openapi;
#[cfg(all(feature = "ui", feature = "tree"))]
mod page;
#[cfg(target_os = "linux")]
mod poison;
mod process;
mod prove;
mod serve;
mod settings;
mod site;
#[cfg(feature = "tree")]
mod tree;
mod upkeep;
#[cfg(feature = "shard")]
mod vector_routes;
#[cfg(feature = "stm")]
mod workflows;
