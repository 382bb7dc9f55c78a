//! Whether policies make sense: every name is known, every type fits, every policy can matter.

use std::collections::BTreeSet;

use super::lex::{Token, lex};
use super::tree::{Effect, Policy, Scope, Spot};
use super::types::{ROLE, Setting, no_type, unknown};
use super::value::{CLIENT, PRINCIPALS, SERVICE, USER};
use super::{Entity, Vocabulary};

type Faults = Vec<Spot<String>>;

/// Who asks, for what, about what: by their types.
type Case<'a> = (&'a str, &'a str, &'a str);

/// What is wrong with these policies.
pub(crate) fn check(policies: &[Policy], words: &Vocabulary, text: &str) -> Faults {
    let mut faults = Faults::new();
    let mut reached: Vec<(&Policy, BTreeSet<Case<'_>>)> = Vec::new();
    for policy in policies {
        let before = faults.len();
        let cases = scope(policy, words, &mut faults);
        if faults.len() > before {
            continue;
        }
        let live = conditions(policy, &cases, words, &mut faults);
        if faults.len() == before && live.is_empty() {
            faults.push(never(policy, cases.is_empty()));
        } else if faults.len() == before {
            reached.push((policy, live));
        }
    }
    faults.extend(forbidden(&reached, text));
    faults.extend(said_twice(&reached, text));
    faults
}

/// The cases that the policy's head is about.
fn scope<'a>(policy: &Policy, words: &'a Vocabulary, faults: &mut Faults) -> BTreeSet<Case<'a>> {
    let principals = principals(&policy.principal, words, faults);
    let actions: Vec<_> = words
        .actions
        .iter()
        .filter(|(name, _)| asks(policy, name))
        .collect();
    for named in policy.actions.iter().flatten() {
        let known = unknown(words, super::types::ACTION, &named.it);
        faults.extend(known.map(|it| Spot { at: named.at, it }));
    }
    let resource = resource(&policy.resource, words, faults);
    let mut cases = BTreeSet::new();
    for (action, types) in actions {
        let types = types
            .iter()
            .filter(|name| resource.is_none_or(|only| only == *name));
        for kind in types {
            cases.extend(
                principals
                    .iter()
                    .map(|who| (*who, action.as_str(), kind.as_str())),
            );
        }
    }
    cases
}

fn asks(policy: &Policy, action: &str) -> bool {
    let Some(named) = &policy.actions else {
        return true;
    };
    named.iter().any(|named| named.it == action)
}

fn principals(scope: &Scope, words: &Vocabulary, faults: &mut Faults) -> Vec<&'static str> {
    let mut principals = PRINCIPALS.to_vec();
    let is = scope.is.as_ref().map(|is| (is.at, is.it.as_str()));
    let equals = scope.equals.as_ref();
    let equals = equals.map(|entity| (entity.at, entity.it.kind()));
    for (at, kind) in [is, equals].into_iter().flatten() {
        if !principals.contains(&kind) {
            let it = format!("a principal is a {USER}, a {SERVICE} or a {CLIENT}, not a `{kind}`");
            faults.push(Spot { at, it });
        }
        principals.retain(|known| *known == kind);
    }
    faults.extend(named(scope, words));
    if let Some(role) = &scope.within {
        let it = if role.it.kind() == ROLE {
            unknown(words, ROLE, role.it.id())
        } else {
            Some("a principal is in a role: write `in Role::\"…\"`".into())
        };
        faults.extend(it.map(|it| Spot { at: role.at, it }));
        // Nobody else has roles.
        principals.retain(|known| *known == USER);
    }
    principals
}

fn resource<'a>(scope: &'a Scope, words: &Vocabulary, faults: &mut Faults) -> Option<&'a str> {
    if let Some(within) = &scope.within {
        let it = "resources are in nothing: write a condition on an attribute".into();
        faults.push(Spot { at: within.at, it });
    }
    let is = scope.is.as_ref().map(|is| (is.at, is.it.as_str()));
    let equals = scope.equals.as_ref();
    let (at, kind) = is.or_else(|| equals.map(|entity| (entity.at, entity.it.kind())))?;
    if !words.types.contains_key(kind) {
        let it = no_type(words, kind);
        faults.push(Spot { at, it });
    }
    faults.extend(named(scope, words));
    Some(kind)
}

/// What is wrong with the id of the one thing that a head is about; of a type that is known.
fn named(scope: &Scope, words: &Vocabulary) -> Option<Spot<String>> {
    let equals = scope.equals.as_ref();
    let known = equals.filter(|entity| words.types.contains_key(entity.it.kind()))?;
    let it = unknown(words, known.it.kind(), known.it.id())?;
    Some(Spot { at: known.at, it })
}

/// The cases in which the conditions can hold.
fn conditions<'a>(
    policy: &Policy,
    cases: &BTreeSet<Case<'a>>,
    words: &Vocabulary,
    faults: &mut Faults,
) -> BTreeSet<Case<'a>> {
    let stated = policy.conditions.iter();
    let stated: Vec<_> = stated
        .map(|stated| (stated.negated, &stated.holds))
        .collect();
    let mut live = BTreeSet::new();
    for case in cases {
        let (principal, action, resource) = *case;
        let setting = Setting {
            words,
            principal,
            action,
            resource,
        };
        if setting.all(&stated, faults) != Some(false) {
            live.insert(*case);
        }
    }
    live
}

fn never(policy: &Policy, nobody_asks: bool) -> Spot<String> {
    let why = if nobody_asks {
        "none of its actions is asked about its resources by its principals"
    } else {
        "its conditions never hold"
    };
    Spot {
        at: policy.at,
        it: format!("{:?} can never apply: {why}", policy.id),
    }
}

/// Permits that forbids leave nothing of.
fn forbidden(reached: &[(&Policy, BTreeSet<Case<'_>>)], text: &str) -> Faults {
    let always = |policy: &Policy| {
        let narrow = |scope: &Scope| scope.equals.is_some() || scope.within.is_some();
        let open = policy.conditions.is_empty();
        open && !narrow(&policy.principal) && !narrow(&policy.resource)
    };
    let of = |effect| {
        reached
            .iter()
            .filter(move |(policy, _)| policy.effect == effect)
    };
    let mut faults = Faults::new();
    for (permit, cases) in of(Effect::Permit) {
        let mut forbids = of(Effect::Forbid);
        let covering = forbids.find(|(forbid, all)| always(forbid) && cases.is_subset(all));
        if let Some((forbid, _)) = covering {
            let (line, _) = place(text, forbid.at);
            let it = format!(
                "{:?} can never apply: {:?} in line {line} forbids all of it",
                permit.id, forbid.id
            );
            faults.push(Spot { at: permit.at, it });
        }
    }
    faults
}

/// Policies that say what another said before.
fn said_twice(reached: &[(&Policy, BTreeSet<Case<'_>>)], text: &str) -> Faults {
    let said: Vec<_> = reached
        .iter()
        .map(|(policy, _)| said(policy, text))
        .collect();
    let mut faults = Faults::new();
    for (nth, (policy, cases)) in reached.iter().enumerate() {
        let same = |(at, (_, all)): &(usize, &(&Policy, BTreeSet<Case<'_>>))| {
            said[*at] == said[nth] && cases.is_subset(all)
        };
        if let Some((_, (other, _))) = reached[..nth].iter().enumerate().find(same) {
            let (line, _) = place(text, other.at);
            let it = format!(
                "{:?} changes nothing: {:?} in line {line} says the same",
                policy.id, other.id
            );
            faults.push(Spot { at: policy.at, it });
        }
    }
    faults
}

/// What a policy says, however it is written: by its words and signs, not by its spaces.
#[derive(PartialEq)]
struct Said<'a> {
    effect: Effect,
    scopes: [[Option<&'a Entity>; 2]; 2],
    conditions: Vec<(bool, Vec<Token>)>,
}

fn said<'a>(policy: &'a Policy, text: &str) -> Said<'a> {
    let scope = |scope: &'a Scope| {
        [&scope.equals, &scope.within].map(|spot| spot.as_ref().map(|spot| &spot.it))
    };
    let spoken = |span: &std::ops::Range<usize>| {
        let tokens = lex(&text[span.clone()]).tokens.into_iter();
        tokens.map(|(token, _)| token.it).collect()
    };
    let conditions = policy.conditions.iter();
    let conditions = conditions.map(|stated| (stated.negated, spoken(&stated.holds.span)));
    Said {
        effect: policy.effect,
        scopes: [&policy.principal, &policy.resource].map(scope),
        conditions: conditions.collect(),
    }
}

/// Line and column of an offset, both from 1.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (line, column)
}
