//! The syntax tree of one expression, as the parser makes it and the compiler takes it.
//!
//! Every node knows where it began, so that a type error can point at it, and how deep it is, so that nothing recurses
//! beyond a bound.

use super::pattern::Pattern;
use std::sync::Arc;

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Byte offset in the expression.
    pub(super) offset: usize,
    /// 1 for a leaf.
    pub(super) depth: usize,
    pub(super) expr: Expr,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Number(f64),
    String(Arc<str>),
    Pattern(Arc<Pattern>),
    List(Vec<Node>),
    /// A name: `auth`, `now`, `root`, `data`, `newData`, or `$captured`.
    Name(String),
    /// `target.name`
    Member(Box<Node>, String),
    /// `target[index]`
    Index(Box<Node>, Box<Node>),
    /// `target.method(arguments)`
    Call(Box<Node>, String, Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `condition ? then : otherwise`
    Choose(Box<Node>, Box<Node>, Box<Node>),
}

/// An operator with two operands. `===` is `==` and `!==` is `!=`: no operator converts its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    /// As it is written.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// How tightly it binds; more is tighter.
    pub(super) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::NotEqual => 3,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 4,
            Self::Add | Self::Subtract => 5,
            Self::Multiply | Self::Divide | Self::Remainder => 6,
        }
    }
}
