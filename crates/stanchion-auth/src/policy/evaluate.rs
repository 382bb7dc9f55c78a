//! Whether a policy applies to a question.
//!
//! What passed the check cannot fail here. If it did all the same, a `permit` would not apply and a `forbid` would.

use std::borrow::Cow;

use super::tree::{Comparison, Condition, Effect, Expr, Node, Policy, Scope, Variable};
use super::types::{ACTION, ROLE};
use super::{Entity, Question, Value};
use crate::{Principal, Subject};

/// A question, made ready for policies.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) question: &'a Question<'a>,
    principal: Value,
    action: Value,
    resource: Value,
    on_behalf_of: Option<Value>,
}

/// Something that the check did not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unseen;

type Evaluated<T> = Result<T, Unseen>;

impl<'a> Scene<'a> {
    pub(crate) fn of(question: &'a Question<'a>) -> Self {
        let on_behalf_of = question.principal.on_behalf_of.map(Entity::user);
        Self {
            question,
            principal: Entity::of(question.principal).into(),
            action: Entity::new(ACTION, question.action).into(),
            resource: question.resource.entity().clone().into(),
            on_behalf_of: on_behalf_of.map(Value::from),
        }
    }

    /// Whether the policy's head is about this question; its actions were looked at before.
    pub(crate) fn is_about(&self, policy: &Policy) -> bool {
        let matches = |scope: &Scope, value: &Value| {
            let Value::Entity(entity) = value else {
                return false;
            };
            let is = scope.is.as_ref().is_none_or(|is| is.it == entity.kind());
            let equals = scope
                .equals
                .as_ref()
                .is_none_or(|equals| equals.it == *entity);
            is && equals
        };
        let role = policy.principal.within.as_ref();
        let in_role = role.is_none_or(|role| has_role(self.question.principal, &role.it));
        matches(&policy.principal, &self.principal)
            && matches(&policy.resource, &self.resource)
            && in_role
    }

    /// Whether its conditions hold, and the first part of them that does not.
    pub(crate) fn holds<'p>(&self, policy: &'p Policy) -> Result<(), &'p Expr> {
        let otherwise = policy.effect == Effect::Forbid;
        for Condition { negated, holds } in &policy.conditions {
            let unmet = if *negated {
                let met = self.truth(holds).map_or(otherwise, |holds| !holds);
                (!met).then_some(holds)
            } else {
                self.first_unmet(holds, otherwise)
            };
            if let Some(unmet) = unmet {
                return Err(unmet);
            }
        }
        Ok(())
    }

    /// The first of parts joined by `&&` that does not hold.
    fn first_unmet<'p>(&self, expr: &'p Expr, otherwise: bool) -> Option<&'p Expr> {
        if let Node::And(left, right) = &expr.node {
            let unmet = self.first_unmet(left, otherwise);
            return unmet.or_else(|| self.first_unmet(right, otherwise));
        }
        let met = self.truth(expr).unwrap_or(otherwise);
        (!met).then_some(expr)
    }

    fn truth(&self, expr: &Expr) -> Evaluated<bool> {
        match &expr.node {
            Node::Not(inner) => self.truth(inner).map(|holds| !holds),
            Node::And(left, right) => Ok(self.truth(left)? && self.truth(right)?),
            Node::Or(left, right) => Ok(self.truth(left)? || self.truth(right)?),
            Node::Has(of, name) => Ok(self.attribute(of, name).is_some()),
            Node::Is(of, name) => match &*self.value(of)? {
                Value::Entity(entity) => Ok(entity.kind() == name),
                _ => Err(Unseen),
            },
            Node::In(_, role) => match &*self.value(role)? {
                Value::Entity(role) => Ok(has_role(self.question.principal, role)),
                _ => Err(Unseen),
            },
            Node::Compare(comparison, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                compare(*comparison, &left, &right)
            }
            Node::Contains(set, item) => match &*self.value(set)? {
                Value::Set(items) => {
                    let item = self.value(item)?;
                    Ok(items.iter().any(|one| same(one, &item)))
                }
                _ => Err(Unseen),
            },
            Node::Literal(_) | Node::Set(_) | Node::Variable(_) | Node::Attribute(..) => {
                match &*self.value(expr)? {
                    Value::Bool(holds) => Ok(*holds),
                    _ => Err(Unseen),
                }
            }
        }
    }

    fn value<'s>(&'s self, expr: &'s Expr) -> Evaluated<Cow<'s, Value>> {
        Ok(match &expr.node {
            Node::Literal(value) => Cow::Borrowed(value),
            Node::Set(items) => {
                let items = items
                    .iter()
                    .map(|item| self.value(item).map(Cow::into_owned));
                Cow::Owned(Value::Set(items.collect::<Result<_, _>>()?))
            }
            Node::Variable(Variable::Principal) => Cow::Borrowed(&self.principal),
            Node::Variable(Variable::Action) => Cow::Borrowed(&self.action),
            Node::Variable(Variable::Resource) => Cow::Borrowed(&self.resource),
            Node::Attribute(of, name) => Cow::Borrowed(self.attribute(of, name).ok_or(Unseen)?),
            _ => Cow::Owned(Value::Bool(self.truth(expr)?)),
        })
    }

    fn attribute(&self, of: &Expr, name: &str) -> Option<&Value> {
        match of.node {
            Node::Variable(Variable::Resource) => self.question.resource.get(name),
            Node::Variable(Variable::Principal) if name == "on_behalf_of" => {
                self.on_behalf_of.as_ref()
            }
            _ => None,
        }
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Evaluated<bool> {
    match comparison {
        Comparison::Equal => return Ok(same(left, right)),
        Comparison::Unequal => return Ok(!same(left, right)),
        _ => {}
    }
    let (Value::Number(left), Value::Number(right)) = (left, right) else {
        return Err(Unseen);
    };
    Ok(match comparison {
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        _ => left >= right,
    })
}

/// Sets are the same when each has all of the other, also within sets.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Set(left), Value::Set(right)) => {
            let has = |all: &[Value], one: &Value| all.iter().any(|other| same(other, one));
            let within = |some: &[Value], all: &[Value]| some.iter().all(|one| has(all, one));
            within(left, right) && within(right, left)
        }
        _ => left == right,
    }
}

fn has_role(principal: &Principal, role: &Entity) -> bool {
    role.kind() == ROLE && roles(principal).any(|held| held == role.id())
}

/// The roles that count: those of a user. A policy was checked as if nobody else had any.
pub(crate) fn roles(principal: &Principal) -> impl Iterator<Item = &str> {
    let is_user = matches!(principal.subject, Subject::User(_));
    let roles = principal.roles.iter().filter(move |_| is_user);
    roles.map(String::as_str)
}
