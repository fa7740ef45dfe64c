//! Security rules: what the language means, what the decisions are, and what a wrong document is told.

mod decisions;
mod documents;
mod expressions;
