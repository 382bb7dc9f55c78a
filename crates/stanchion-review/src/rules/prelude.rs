//! What a rule's file needs.

#[allow(unused_imports)] // Each rule takes of it what it needs.
pub(super) use crate::{
    architecture::Project,
    found::Found,
    model::{Check, Confidence, Example, Language, Point, Rule, Severity},
    node::Node,
    shape::*,
    source::{Source, functions},
};
