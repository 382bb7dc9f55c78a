//! Operators: what their sides must be, and what is known of the result.

use std::collections::BTreeSet;

use super::super::Kind;
use super::super::Value;
use super::super::tree::{Comparison, Expr, Node, Variable};
use super::{ACTION, Faults, Known, Path, Setting, both, spot};

impl Setting<'_> {
    pub(super) fn and(
        &self,
        left: &Expr,
        right: &Expr,
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Known {
        let left = self.truth(left, proven, faults);
        // What is never asked need not make sense: `principal is Service && principal.on_behalf_of …`.
        if left.always == Some(false) {
            return left;
        }
        let proven = proven | &left.proves;
        let right = self.truth(right, &proven, faults);
        Known {
            proves: &left.proves | &right.proves,
            ..Known::bool(both(left.always, right.always))
        }
    }

    pub(super) fn or(
        &self,
        left: &Expr,
        right: &Expr,
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Known {
        let left = self.truth(left, proven, faults);
        if left.always == Some(true) {
            return left;
        }
        let right = self.truth(right, proven, faults);
        let always = match (left.always, right.always) {
            (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        let proves = match left.always {
            Some(false) => right.proves,
            _ => &left.proves & &right.proves,
        };
        Known {
            proves,
            ..Known::bool(always)
        }
    }

    pub(super) fn compare(
        &self,
        expr: &Expr,
        comparison: Comparison,
        sides: [&Expr; 2],
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Option<Known> {
        let [left, right] = sides.map(|side| self.known(side, proven, faults));
        let (left, right) = (left?.kind, right?.kind);
        let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        if !equality && (left != Kind::Number || right != Kind::Number) {
            let sign = comparison.sign();
            faults.push(spot(
                expr,
                format!("`{sign}` is for numbers, not {left} and {right}"),
            ));
            return None;
        }
        if left == right {
            return Some(Known::bool(self.fixed(comparison, sides)));
        }
        // Things of two types are never the same; values of two kinds are compared by mistake.
        if let (Kind::Entity(_), Kind::Entity(_)) = (&left, &right) {
            return Some(Known::bool(Some(comparison == Comparison::Unequal)));
        }
        faults.push(spot(expr, format!("{left} is never {right}")));
        None
    }

    /// The one action of the setting is known.
    fn fixed(&self, comparison: Comparison, sides: [&Expr; 2]) -> Option<bool> {
        let named = sides.map(|side| match &side.node {
            Node::Variable(Variable::Action) => Some(self.action),
            Node::Literal(Value::Entity(entity)) if entity.kind() == ACTION => Some(entity.id()),
            _ => None,
        });
        let [Some(left), Some(right)] = named else {
            return None;
        };
        Some((left == right) == (comparison == Comparison::Equal))
    }

    pub(super) fn contains(
        &self,
        expr: &Expr,
        set: &Expr,
        item: &Expr,
        proven: &BTreeSet<Path>,
        faults: &mut Faults,
    ) -> Option<Known> {
        let set = self.known(set, proven, faults);
        let item = self.known(item, proven, faults);
        let (set, item) = (set?.kind, item?.kind);
        match &set {
            Kind::Set(kind) if **kind == item => Some(Known::bool(None)),
            Kind::Set(_) => {
                faults.push(spot(expr, format!("{item} is never in {set}")));
                None
            }
            _ => {
                faults.push(spot(expr, format!("{set} contains nothing: it is no set")));
                None
            }
        }
    }
}
