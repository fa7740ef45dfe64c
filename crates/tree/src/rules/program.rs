//! A compiled expression: operations on a stack, with jumps only forward.
//!
//! A program therefore ends after at most as many steps as it has operations, whatever the data. What a program may assume
//! (enough operands, slots that exist) is what the compiler proved when it made it.

use super::{pattern::Pattern, value::State};
use std::sync::Arc;

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Null,
    Bool(bool),
    Number(f64),
    String(Arc<str>),
    /// The user, or null.
    Auth,
    /// The time of the decision in milliseconds.
    Now,
    /// What the path has in place of the n-th `$name` of the rule's own path.
    Captured(usize),
    /// The root of the committed state.
    Root,
    /// The rule's own place in a state.
    Here(State),
    /// A field of the user or of one of its claims; of null it is null.
    Member(Arc<str>),
    /// The same with a computed name.
    Index,
    Not,
    Negate,
    Arithmetic(Arithmetic),
    Equal {
        negated: bool,
    },
    Order(Order),
    /// `&&` and `||`: ends the chain if the boolean on top is `when`, which stays; otherwise drops it.
    Short {
        when: bool,
        to: usize,
    },
    /// The top must be a boolean.
    Boolean,
    /// `?:`: drops the boolean on top and jumps if it is false.
    Unless {
        to: usize,
    },
    Jump {
        to: usize,
    },
    Method(Method),
    HasChildren {
        /// How many names are on the stack; `None` = any child will do.
        names: Option<usize>,
    },
    Matches(Arc<Pattern>),
}

/// An operator on two numbers, or on strings where it is `Add`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// An order of two numbers or two strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a name means to the right of a dot, where neither a list nor a pattern is involved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Child,
    Parent,
    HasChild,
    Exists,
    Val,
    Priority,
    IsString,
    IsNumber,
    IsBoolean,
    Length,
    Contains,
    BeginsWith,
    EndsWith,
    Replace,
    ToLowerCase,
    ToUpperCase,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
}

impl Program {
    /// Whether it can come to something else for the same user and path, once the tree or the time is another.
    pub(super) fn looks_at_state(&self) -> bool {
        let looks = |op: &Op| matches!(op, Op::Now | Op::Root | Op::Here(_));
        self.ops.iter().any(looks)
    }
}
