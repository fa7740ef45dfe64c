//! Reading YAML so that every refusal says where: a [`Document`] keeps line and column of each key and value, and a
//! [`Problem`] shows them.
//!
//! Input comes from outside. Its size, depth, number of nodes and what aliases expand to are bounded before anything is
//! built from it.

mod document;
mod fields;
mod problem;

pub(crate) use document::{Data, Document, Key, Node, Place};
pub(crate) use fields::Fields;
pub(crate) use problem::closest;
pub use problem::{Problem, Problems};
