//! The clauses that every directory, and everything durable, must keep.
