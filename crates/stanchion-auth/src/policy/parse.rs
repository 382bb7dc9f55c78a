//! A file's text as policies. What cannot be read is told and left out, up to the next `;`.

mod expression;
mod tokens;

use std::collections::{BTreeMap, HashSet};

use super::lex::{Token, lex};
use super::tree::{At, Condition, Effect, Policy, Scope, Spot, Variable};
use super::{Entity, POLICIES_MAX};

type Fault = Spot<String>;
type Parsed<T> = Result<T, Fault>;

/// The policies that can be read, and what is wrong with the others.
pub(crate) fn parse(text: &str) -> (Vec<Policy>, Vec<Fault>) {
    let lexed = lex(text);
    let mut parser = Parser {
        end: text.len(),
        tokens: lexed.tokens,
        next: 0,
        depth: 0,
        nodes: 0,
    };
    let (mut policies, mut faults) = (Vec::new(), lexed.faults);
    // A character that means nothing is told once, not as what lacks in its place too.
    let unread = !faults.is_empty();
    while parser.next < parser.tokens.len() {
        let (at, start) = (parser.here(), parser.next);
        match parser.policy() {
            Ok(_) if policies.len() == POLICIES_MAX => {
                let it = format!("more than {POLICIES_MAX} policies in a file");
                faults.push(Spot { at, it });
                break;
            }
            Ok(policy) => policies.push(policy),
            Err(fault) => {
                if !unread {
                    faults.push(fault);
                }
                parser.skip(start);
            }
        }
    }
    faults.extend(named_twice(&policies));
    (policies, faults)
}

fn named_twice(policies: &[Policy]) -> Vec<Fault> {
    let mut names = HashSet::new();
    let again = policies.iter().filter(|policy| !names.insert(&policy.id));
    let told = again.map(|policy| Spot {
        at: policy.at,
        it: format!("another policy has the id {:?}", policy.id),
    });
    told.collect()
}

struct Parser {
    /// Of the text.
    end: At,
    tokens: Vec<(Spot<Token>, At)>,
    next: usize,
    depth: usize,
    /// Of the policy that is being read.
    nodes: usize,
}

impl Parser {
    fn policy(&mut self) -> Parsed<Policy> {
        let at = self.here();
        self.nodes = 0;
        let mut annotations = BTreeMap::new();
        while self.takes("@") {
            let name = self.word("an annotation's name")?;
            self.expect("(")?;
            let text = self.text()?;
            self.expect(")")?;
            let told = format!("@{} stands twice", name.it);
            if annotations.insert(name.it, text.it).is_some() {
                return Err(fault(name.at, told));
            }
        }
        let id = annotations.remove("id");
        let effect = self.word("`permit` or `forbid`")?;
        let effect = match effect.it.as_str() {
            "permit" => Effect::Permit,
            "forbid" => Effect::Forbid,
            other => {
                return Err(fault(
                    effect.at,
                    format!("`{other}`: a policy begins with `permit` or `forbid`"),
                ));
            }
        };
        self.expect("(")?;
        let principal = self.scope(Variable::Principal)?;
        self.expect(",")?;
        let actions = self.actions()?;
        self.expect(",")?;
        let resource = self.scope(Variable::Resource)?;
        self.expect(")")?;
        let conditions = self.conditions()?;
        self.expect(";")?;
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| {
            fault(
                at,
                "a policy without a name: begin it with @id(\"…\")".into(),
            )
        })?;
        Ok(Policy {
            id: id.into(),
            at,
            effect,
            principal,
            actions,
            resource,
            conditions,
        })
    }

    fn scope(&mut self, of: Variable) -> Parsed<Scope> {
        self.expect_word(of.name())?;
        let mut scope = Scope::default();
        if self.takes("==") {
            scope.equals = Some(self.entity()?);
            return Ok(scope);
        }
        if self.takes_word("is") {
            scope.is = Some(self.word("a type")?);
        }
        if self.takes_word("in") {
            scope.within = Some(self.entity()?);
        }
        Ok(scope)
    }

    fn actions(&mut self) -> Parsed<Option<Vec<Spot<String>>>> {
        self.expect_word("action")?;
        if self.takes("==") {
            return Ok(Some(vec![self.action()?]));
        }
        if !self.takes_word("in") {
            return Ok(None);
        }
        if !self.takes("[") {
            return Ok(Some(vec![self.action()?]));
        }
        let mut actions = vec![self.action()?];
        while self.takes(",") {
            actions.push(self.action()?);
        }
        self.expect("]")?;
        Ok(Some(actions))
    }

    fn action(&mut self) -> Parsed<Spot<String>> {
        let Spot { at, it } = self.entity()?;
        if it.kind() == "Action" {
            return Ok(Spot {
                at,
                it: it.id().to_owned(),
            });
        }
        Err(fault(at, format!("{it} is no action: write Action::\"…\"")))
    }

    fn conditions(&mut self) -> Parsed<Vec<Condition>> {
        let mut conditions = Vec::new();
        loop {
            let negated = if self.takes_word("when") {
                false
            } else if self.takes_word("unless") {
                true
            } else {
                return Ok(conditions);
            };
            self.expect("{")?;
            let holds = self.expr()?;
            self.expect("}")?;
            conditions.push(Condition { negated, holds });
        }
    }

    fn entity(&mut self) -> Parsed<Spot<Entity>> {
        let kind = self.word("TYPE::\"ID\"")?;
        self.expect("::")?;
        let id = self.text()?;
        Ok(Spot {
            at: kind.at,
            it: Entity::new(kind.it, id.it),
        })
    }
}

fn fault(at: At, it: String) -> Fault {
    Spot { at, it }
}
