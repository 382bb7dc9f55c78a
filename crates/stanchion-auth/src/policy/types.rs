//! The types of conditions, in one setting: who asks, for what, about what.

mod names;
mod operators;

use std::collections::BTreeSet;

use names::listed;
pub(crate) use names::{no_type, unknown};

use super::tree::{At, Expr, Node, Spot, Variable};
use super::value::USER;
use super::{Kind, Value, Vocabulary};

/// The type of roles, which principals are in.
pub(crate) const ROLE: &str = "Role";

/// The type of actions.
pub(crate) const ACTION: &str = "Action";

/// Types that a policy is read with; it must make sense in each that it can be asked in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) words: &'a Vocabulary,
    pub(crate) principal: &'a str,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
}

/// What is known of an expression before anybody asks.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    /// What it always is, here.
    pub(crate) always: Option<bool>,
    /// The optional attributes that are there when it is true.
    proves: BTreeSet<Path>,
}

/// An attribute of a variable.
type Path = (&'static str, String);

type Faults = Vec<Spot<String>>;

impl Known {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            always: None,
            proves: BTreeSet::new(),
        }
    }

    fn bool(always: Option<bool>) -> Self {
        Self {
            always,
            ..Self::of(Kind::Bool)
        }
    }
}

impl Setting<'_> {
    /// What is known of the conditions, all of which must hold; what is wrong with them is added to the faults.
    pub(crate) fn all(&self, conditions: &[(bool, &Expr)], faults: &mut Faults) -> Option<bool> {
        let mut proven = BTreeSet::new();
        let mut always = Some(true);
        for (negated, expr) in conditions {
            let known = self.truth(expr, &proven, faults);
            let holds = known.always.map(|holds| holds != *negated);
            if !negated {
                proven.extend(known.proves);
            }
            always = both(always, holds);
            // What is never asked need not make sense, as on the right of `&&`.
            if always == Some(false) {
                break;
            }
        }
        always
    }

    /// A condition, which is true or false.
    fn truth(&self, expr: &Expr, proven: &BTreeSet<Path>, faults: &mut Faults) -> Known {
        let Some(known) = self.known(expr, proven, faults) else {
            return Known::bool(None);
        };
        if known.kind != Kind::Bool {
            let it = format!(
                "{} is no condition: it is neither true nor false",
                known.kind
            );
            faults.push(spot(expr, it));
            return Known::bool(None);
        }
        known
    }

    /// `None` when it makes no sense, which has been told.
    fn known(&self, expr: &Expr, proven: &BTreeSet<Path>, faults: &mut Faults) -> Option<Known> {
        match &expr.node {
            Node::Literal(value) => self.literal(expr, value, faults),
            Node::Set(items) => self.set(expr, items, proven, faults),
            Node::Variable(variable) => Some(Known::of(Kind::entity(self.type_of(*variable)))),
            Node::Attribute(of, name) => self.attribute(expr, of, name, proven, faults),
            Node::Has(of, name) => self.has(expr, of, name, faults),
            Node::Is(of, name) => self.is(expr, of, name, proven, faults),
            Node::In(who, role) => self.within(expr, who, role, faults),
            Node::Not(inner) => {
                let known = self.truth(inner, proven, faults);
                Some(Known::bool(known.always.map(|always| !always)))
            }
            Node::And(left, right) => Some(self.and(left, right, proven, faults)),
            Node::Or(left, right) => Some(self.or(left, right, proven, faults)),
            Node::Compare(comparison, left, right) => {
                self.compare(expr, *comparison, [left, right], proven, faults)
            }
            Node::Contains(set, item) => self.contains(expr, set, item, proven, faults),
        }
    }

    fn literal(&self, expr: &Expr, value: &Value, faults: &mut Faults) -> Option<Known> {
        let kind = match value {
            Value::Bool(value) => return Some(Known::bool(Some(*value))),
            Value::Number(_) => Kind::Number,
            Value::Text(_) => Kind::Text,
            Value::Entity(entity) => {
                let faulty = unknown(self.words, entity.kind(), entity.id());
                if let Some(it) = faulty {
                    faults.push(spot(expr, it));
                    return None;
                }
                Kind::entity(entity.kind())
            }
            Value::Set(_) => return None,
        };
        Some(Known::of(kind))
    }

    fn set(
        &self,
        expr: &Expr,
        items: &[Expr],
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Option<Known> {
        let Some((first, others)) = items.split_first() else {
            faults.push(spot(expr, "nothing is in an empty set".into()));
            return None;
        };
        let first = self.known(first, proven, faults)?;
        for other in others {
            let known = self.known(other, proven, faults)?;
            if known.kind != first.kind {
                let it = format!("{} in a set of: {}", known.kind, first.kind);
                faults.push(spot(other, it));
                return None;
            }
        }
        Some(Known::of(Kind::set_of(first.kind)))
    }

    fn attribute(
        &self,
        expr: &Expr,
        of: &Expr,
        name: &str,
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Option<Known> {
        let variable = self.described(of, faults)?;
        let kind = self.type_of(variable);
        let known = self.words.types.get(kind).and_then(|known| known.get(name));
        let Some(attribute) = known else {
            faults.push(spot(expr, self.no_attribute(kind, name)));
            return None;
        };
        let is_proven = proven.contains(&(variable.name(), name.to_owned()));
        if attribute.optional && !is_proven {
            let variable = variable.name();
            let it = format!(
                "not every {kind} has {name}: write `{variable} has {name} && {variable}.{name} …`"
            );
            faults.push(spot(expr, it));
            return None;
        }
        Some(Known::of(attribute.kind.clone()))
    }

    fn has(&self, expr: &Expr, of: &Expr, name: &str, faults: &mut Faults) -> Option<Known> {
        let variable = self.described(of, faults)?;
        let kind = self.type_of(variable);
        // Of several types one may have it.
        let somewhere = self
            .words
            .types
            .values()
            .any(|known| known.contains_key(name));
        if !somewhere {
            faults.push(spot(expr, self.no_attribute(kind, name)));
            return None;
        }
        let known = self.words.types.get(kind).and_then(|known| known.get(name));
        let mut has = Known::bool(match known {
            None => Some(false),
            Some(attribute) => (!attribute.optional).then_some(true),
        });
        has.proves.insert((variable.name(), name.to_owned()));
        Some(has)
    }

    fn is(
        &self,
        expr: &Expr,
        of: &Expr,
        name: &str,
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Option<Known> {
        let known = self.known(of, proven, faults)?;
        if !self.words.types.contains_key(name) {
            faults.push(spot(expr, no_type(self.words, name)));
            return None;
        }
        match known.kind {
            Kind::Entity(kind) => Some(Known::bool(Some(kind == name))),
            kind => {
                faults.push(spot(expr, format!("{kind} is of no type that `is` knows")));
                None
            }
        }
    }

    fn within(&self, expr: &Expr, who: &Expr, role: &Expr, faults: &mut Faults) -> Option<Known> {
        let Node::Literal(Value::Entity(role)) = &role.node else {
            faults.push(spot(expr, "write `principal in Role::\"…\"`".into()));
            return None;
        };
        let fits = role.kind() == ROLE && matches!(who.node, Node::Variable(Variable::Principal));
        if !fits {
            faults.push(spot(expr, "write `principal in Role::\"…\"`".into()));
            return None;
        }
        if let Some(it) = unknown(self.words, ROLE, role.id()) {
            faults.push(spot(expr, it));
            return None;
        }
        Some(Known::bool((self.principal != USER).then_some(false)))
    }

    /// The variable whose attributes are known.
    fn described(&self, of: &Expr, faults: &mut Faults) -> Option<Variable> {
        match of.node {
            Node::Variable(variable) if variable != Variable::Action => Some(variable),
            _ => {
                let it = "only `principal` and `resource` have attributes";
                faults.push(spot(of, it.into()));
                None
            }
        }
    }

    fn type_of(&self, variable: Variable) -> &str {
        match variable {
            Variable::Principal => self.principal,
            Variable::Action => ACTION,
            Variable::Resource => self.resource,
        }
    }

    fn no_attribute(&self, kind: &str, name: &str) -> String {
        let known: Vec<_> = self.words.attributes(kind).map(|(name, ..)| name).collect();
        format!(
            "a {kind} has no attribute `{name}`; it has {}",
            listed(&known)
        )
    }
}

fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn spot(expr: &Expr, it: String) -> Spot<String> {
    let at: At = expr.span.start;
    Spot { at, it }
}
