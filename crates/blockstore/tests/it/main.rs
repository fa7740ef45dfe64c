//! The block store's integration tests: one binary, one module per part.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod backup;
mod buddy;
#[cfg(feature = "port")]
mod client;
mod conformance;
mod crash;
mod damage;
mod disk_limit;
mod fsck;
mod gate;
mod handler;
mod interval;
mod locks;
#[cfg(feature = "port")]
mod port_locks;
#[cfg(feature = "port")]
mod port_pressure;
#[cfg(feature = "port")]
mod port_put;
#[cfg(feature = "port")]
mod port_reads;
#[cfg(feature = "port")]
mod port_rig;
#[cfg(feature = "port")]
mod port_status;
#[cfg(feature = "port")]
mod port_trouble;
mod recall;
mod store;
mod table;
mod trace;
mod upkeep;
mod worker;
