//! Workflows: steps in YAML, in an order, in parallel where the order allows, each a transaction at its own level.
//!
//! | file | role |
//! |---|---|
//! | `parse`, `model` | the grammar, and what it makes |
//! | `expr` | conditions and right-hand sides |
//! | `plan` | names resolved, circles refused, steps and edges |
//! | `run`, `pool`, `token` | the driver, the threads, and who may still end a step |
//! | `report` | events and the end |
//!
//! The grammar, with examples that are tests, is in `docs/workflows.md`; its JSON schema in `docs/workflow.schema.json`.

mod expr;
mod model;
mod parse;
mod plan;
mod pool;
mod report;
mod run;
mod token;

pub use crate::yaml::{Problem, Problems};
pub use model::{OnFailure, Retry};
pub use plan::Plan;
pub use pool::Pool;
pub use report::{Event, Report, Status, StepFailure, StepName};
pub use run::RunOptions;
pub use token::CancelToken;
