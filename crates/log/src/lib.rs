//! A durable log: CRC-framed records, group commit over preallocated segments, snapshots, and a file seam that tests can
//! make fail. Written once; every engine that acknowledges a write acknowledges it through here.
#![forbid(unsafe_code)]
