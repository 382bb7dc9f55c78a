use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::{check, place};
use super::evaluate::Scene;
use super::parse::parse;
use super::tree::{Effect, Expr, Policy};
use super::{
    Decision, FILE_BYTES_MAX, Policies, PolicyFault, PolicyFaults, PolicyName, Question, Reason,
    Vocabulary,
};
use crate::Principal;

/// A policy file that passed every check, ready to decide.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    file: Arc<str>,
    text: String,
    words: Vocabulary,
    policies: Vec<Policy>,
    /// Those about each action.
    about: BTreeMap<String, Vec<usize>>,
}

/// A policy in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its name and place.
    pub name: PolicyName,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// The actions it is about.
    pub actions: Vec<String>,
}

impl PolicyFile {
    /// Reads and checks a file's text; `name` is what faults and reasons call it.
    ///
    /// # Errors
    /// All that is wrong with it: what cannot be read, names that the vocabulary does not know, types that do not fit,
    /// optional attributes without `has`, policies that can never matter. Nothing of a faulty file is used.
    pub fn parse(name: &str, text: &str, words: &Vocabulary) -> Result<Self, PolicyFaults> {
        if text.len() > FILE_BYTES_MAX {
            let fault = PolicyFault {
                line: 1,
                column: 1,
                what: format!("a policy file has at most {FILE_BYTES_MAX} bytes"),
            };
            return Err(PolicyFaults::new(name, vec![fault]));
        }
        let (policies, mut faults) = parse(text);
        faults.extend(check(&policies, words, text));
        if !faults.is_empty() {
            let placed = faults.into_iter().map(|fault| {
                let (line, column) = place(text, fault.at);
                PolicyFault {
                    line,
                    column,
                    what: fault.it,
                }
            });
            return Err(PolicyFaults::new(name, placed.collect()));
        }
        let mut about: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (nth, policy) in policies.iter().enumerate() {
            for action in actions(policy, words) {
                about.entry(action).or_default().push(nth);
            }
        }
        Ok(Self {
            file: name.into(),
            text: text.to_owned(),
            words: words.clone(),
            policies,
            about,
        })
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file
    }

    /// The file's text, as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it can speak of.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.words
    }

    /// Its policies, in the order of the file.
    pub fn summaries(&self) -> impl Iterator<Item = Summary> {
        self.policies.iter().map(|policy| Summary {
            name: self.name_of(policy),
            forbids: policy.effect == Effect::Forbid,
            actions: actions(policy, &self.words),
        })
    }

    fn name_of(&self, policy: &Policy) -> PolicyName {
        PolicyName {
            id: Arc::clone(&policy.id),
            file: Arc::clone(&self.file),
            line: place(&self.text, policy.at).0,
        }
    }

    fn unmet(&self, policy: &Policy, condition: &Expr) -> Reason {
        let written = self.text[condition.span.clone()].split_whitespace();
        let written = written.collect::<Vec<_>>().join(" ");
        let negated = policy
            .conditions
            .iter()
            .any(|stated| stated.negated && stated.holds.span == condition.span);
        let condition = if negated {
            format!("unless {{ {written} }}")
        } else {
            written
        };
        Reason::Unmet {
            policy: self.name_of(policy),
            condition,
        }
    }
}

impl Policies for PolicyFile {
    fn decide(&self, question: &Question<'_>) -> Decision {
        bound(question, |question| self.decided(question))
    }
}

impl PolicyFile {
    /// By the roles that the principal has, and no others.
    fn decided(&self, question: &Question<'_>) -> Decision {
        if let Some(what) = self.words.misfit(question) {
            return Decision::denied(vec![Reason::Misfit(what)]);
        }
        let scene = Scene::of(question);
        let about = self.about.get(question.action).into_iter().flatten();
        let about = about.map(|nth| &self.policies[*nth]);
        let about: Vec<_> = about.filter(|policy| scene.is_about(policy)).collect();
        let of = |effect| about.iter().filter(move |policy| policy.effect == effect);
        let forbids = of(Effect::Forbid).filter(|policy| scene.holds(policy).is_ok());
        let forbids: Vec<_> = forbids
            .map(|policy| Reason::Forbids(self.name_of(policy)))
            .collect();
        if !forbids.is_empty() {
            return Decision::denied(forbids);
        }
        if let Some(held) = held(question) {
            return Decision::allowed(held);
        }
        let mut missing = vec![Reason::Lacks(question.action.to_owned())];
        for policy in of(Effect::Permit) {
            match scene.holds(policy) {
                Ok(()) => return Decision::allowed(Reason::Permits(self.name_of(policy))),
                Err(condition) => missing.push(self.unmet(policy, condition)),
            }
        }
        Decision::denied(missing)
    }
}

/// The decision about somebody whom roles bind that are not its own: what is refused with them is refused, and what is
/// allowed must be allowed without them.
pub(crate) fn bound(
    question: &Question<'_>,
    decided: impl Fn(&Question<'_>) -> Decision,
) -> Decision {
    let principal = question.principal;
    if principal.bound_by.is_empty() {
        return decided(question);
    }
    let with_roles = Principal {
        roles: &principal.roles | &principal.bound_by,
        ..principal.clone()
    };
    let decision = decided(&Question {
        principal: &with_roles,
        ..*question
    });
    if decision.allowed {
        decided(question)
    } else {
        decision
    }
}

/// The permission of the action's name, if it is held.
pub(crate) fn held(question: &Question<'_>) -> Option<Reason> {
    let by = question.principal.permissions.granting(question.action)?;
    Some(Reason::Holds {
        permission: question.action.to_owned(),
        by: by.to_owned(),
    })
}

fn actions(policy: &Policy, words: &Vocabulary) -> Vec<String> {
    match &policy.actions {
        Some(named) => named.iter().map(|named| named.it.clone()).collect(),
        None => words.actions().map(str::to_owned).collect(),
    }
}
