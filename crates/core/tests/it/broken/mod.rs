//! The suites, tested: implementations that are broken in one place, and the clauses that must and must not fail.
//!
//! Each case names the clause it is made for first, then the others that cannot hold either. The set must be exact.

mod controller;
mod handler;
mod keyed;
mod linear;
mod pool;
mod queue;
mod worker;

use quintet_core::conformance::Clause;
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs all clauses and compares those that panic, with their own name in the message, with `expected`.
fn fails_exactly(suite: &str, fault: &str, clauses: Vec<Clause>, expected: &[&str]) {
    let mut failed = BTreeSet::new();
    for Clause { name, run } in &clauses {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            let named = text.starts_with(&format!("clause {suite}::{name}: "));
            assert!(named, "{fault}: clause {name} does not name itself: `{text}`");
            failed.insert(*name);
        }
    }
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    assert_eq!(failed, expected, "the clauses that catch a {suite} that {fault}");
}

/// A clause without a broken implementation may be one that cannot fail.
fn covers_every_clause(clauses: Vec<Clause>, cases: &[&[&str]]) {
    let covered: BTreeSet<_> = cases.iter().map(|expected| expected[0]).collect();
    let all: BTreeSet<_> = clauses.iter().map(|clause| clause.name).collect();
    assert_eq!(covered, all, "each clause needs a fault that is made for it");
}
