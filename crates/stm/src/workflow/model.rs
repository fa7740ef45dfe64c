//! A workflow as it is written: what [`parse`](super::parse) makes of a file and [`plan`](super::plan) checks and orders.

use super::expr::Expression;
use crate::{Isolation, Path, Recipes, Value, yaml::Place};
use std::time::Duration;

/// What happens to the rest when a step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing more starts, and what runs is stopped and undone.
    #[default]
    FailFast,
    /// Everything that does not depend on the failed step still runs.
    All,
}

impl OnFailure {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailFast => "fail-fast",
            Self::All => "all",
        }
    }
}

/// How often to try a step, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, the first time included.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each, up to a minute.
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Duration::ZERO,
        }
    }
}

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A workflow file.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: Option<String>,
    pub(crate) isolation: Isolation,
    pub(crate) on_failure: OnFailure,
    pub(crate) max_ops: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) processes: Vec<OwnProcess>,
    pub(crate) recipes: Recipes,
    pub(crate) flows: Vec<(Name, Block)>,
    pub(crate) steps: Block,
}

/// A process that the file itself defines by what it sets.
#[derive(Debug)]
pub(crate) struct OwnProcess {
    pub(crate) name: Name,
    pub(crate) inputs: Option<Vec<String>>,
    pub(crate) outputs: Option<Vec<String>>,
    pub(crate) assignments: Vec<Assignment>,
}

/// Steps in order.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) elements: Vec<Element>,
}

/// One step, or several at once.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    pub(crate) id: Option<Name>,
    pub(crate) needs: Option<Vec<Name>>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) retry: Retry,
    pub(crate) timeout: Option<Duration>,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    Process(Name),
    Set(Vec<Assignment>),
    If {
        condition: Expression,
        then: Block,
        otherwise: Option<Block>,
    },
    While {
        condition: Expression,
        body: Block,
        max_ops: u32,
    },
    Flow(Name),
    Steps(Block),
}

/// `path: expression`.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) path: Path,
    pub(crate) value: Right,
}

/// The right-hand side of an assignment.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    Constant(Value),
    Expression(Expression),
}
