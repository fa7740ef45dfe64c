//! The datastore's tests: what no interleaving, crash or clock may break.

mod atomic;
mod behaviour;
mod conformance;
mod crash;
mod linear;
mod model;
mod waits;
