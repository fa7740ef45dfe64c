//! Security rules in Firebase's language: who may read and write which part of the tree, and what a written value must be.
//!
//! A rules document is parsed and checked once ([`Rules::parse`], errors with line and column) and compiled to small stack
//! programs. A decision ([`Rules::may_read`], [`Rules::may_write`]) walks the path once; it sees the tree through [`Data`]:
//! the committed state, and for a write the state as it would be. Rules never block, loop or recurse on input: an
//! expression's cost is bounded by its text, a decision's by [`STEPS_MAX`].
//!
//! What decides: a `.read` or `.write` that is true anywhere from the root down to the path grants, and nothing below takes
//! it back; without one the answer is no. Every `.validate` of a node that is written and not deleted must be true. A rule
//! that fails while it is evaluated (a wrong type, a missing argument) counts as false.

mod case;
mod compile;
mod data;
mod decide;
#[cfg(test)]
mod differential;
mod document;
mod error;
mod eval;
mod expr;
mod guard;
mod index_on;
mod kind;
mod lex;
mod machine;
#[cfg(test)]
mod naive;
mod parse;
mod pattern;
mod program;

mod value;

pub use case::{Case, CaseResult, Operation, parse_cases};
pub use data::{Data, Found, JsonData};
pub use decide::{Auth, Decision, Outcome, Request, Trace};
pub use document::Rules;
pub use error::RulesError;
pub use guard::RulesGuard;

/// The most steps that one decision may take, counted in operations, look-ups and stretches of text. Beyond it the answer
/// is no. About a tenth of a second of work: enough to validate a document of some hundred thousand values.
pub const STEPS_MAX: u32 = 4_000_000;
/// The longest rules document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// How deeply an expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// How deeply the paths of a rules document may nest.
pub const PATH_DEPTH_MAX: usize = 64;
