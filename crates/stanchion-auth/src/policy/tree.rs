//! A policy as it was read.

use std::ops::Range;
use std::sync::Arc;

use super::{Entity, Value};

/// Where something stands: an offset in bytes; lines are counted when somebody wants to know.
pub(crate) type At = usize;

/// Something with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spot<T> {
    pub(crate) at: At,
    pub(crate) it: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Permit,
    Forbid,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) id: Arc<str>,
    pub(crate) at: At,
    pub(crate) effect: Effect,
    pub(crate) principal: Scope,
    /// Every action unless given.
    pub(crate) actions: Option<Vec<Spot<String>>>,
    pub(crate) resource: Scope,
    pub(crate) conditions: Vec<Condition>,
}

/// What a policy is about, of its principals or its resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scope {
    pub(crate) is: Option<Spot<String>>,
    pub(crate) equals: Option<Spot<Entity>>,
    pub(crate) within: Option<Spot<Entity>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// `unless`: it must not hold.
    pub(crate) negated: bool,
    pub(crate) holds: Expr,
}

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) span: Range<usize>,
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal(Value),
    Set(Vec<Expr>),
    Variable(Variable),
    Attribute(Box<Expr>, String),
    Has(Box<Expr>, String),
    Is(Box<Expr>, String),
    In(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Contains(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Principal,
    Action,
    Resource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Variable {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Action => "action",
            Self::Resource => "resource",
        }
    }
}

impl Comparison {
    pub(crate) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}
