//! Decides between patterns by a table: facts, options, rules in order, each with its reason, its book and its case.

mod adr;
mod table;

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

pub(crate) use adr::draft;
pub(crate) use table::{Decision, Fact, Table, Value, table};

/// What is known: a value a fact.
pub(crate) type Facts = BTreeMap<String, Value>;

/// The answer to one decision.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    /// Which decision.
    pub(crate) decision: String,
    /// What was asked.
    pub(crate) question: String,
    /// The option's id.
    pub(crate) choose: String,
    /// The option in words.
    pub(crate) name: String,
    /// The rule that decided.
    pub(crate) rule: String,
    /// Why.
    pub(crate) because: String,
    /// Who says so.
    pub(crate) source: String,
    /// Further rules that hold and say the same.
    pub(crate) also: Vec<String>,
    /// What the option costs, and rules that hold and say otherwise.
    pub(crate) against: Vec<String>,
    /// Single facts that would change the answer.
    pub(crate) would_change: Vec<Change>,
    /// The numbers to watch.
    pub(crate) measure: Vec<String>,
}

/// A fact that would change an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Which fact and how, `team_size = 40`.
    pub(crate) if_fact: String,
    /// What would be recommended then.
    pub(crate) then: String,
}

/// Everything that was decided.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answers {
    /// The facts as they were given.
    pub(crate) given: Facts,
    /// The facts that were assumed.
    pub(crate) assumed: Facts,
    /// One a decision, in the table's order.
    pub(crate) answers: Vec<Answer>,
}

/// A fact's value out of text.
pub(crate) fn value(fact: &Fact, text: &str) -> anyhow::Result<Value> {
    let value = match (&fact.words, text.trim().parse::<i64>()) {
        (Some(_), _) => Value::Word(text.trim().to_lowercase().replace('-', "_")),
        (None, Ok(number)) => Value::Number(number),
        (None, Err(_)) => bail!("{} is a number, not `{text}`", fact.id),
    };
    fact.check(&value)?;
    Ok(value)
}

/// The facts of a TOML file: `team_size = 5` and so on, at its top level.
pub(crate) fn facts_of(text: &str) -> anyhow::Result<Facts> {
    let facts: Facts = toml::from_str(text).context("facts are lines `fact = value`")?;
    for (id, value) in &facts {
        let fact = table().fact(id);
        let known = || {
            table()
                .facts
                .iter()
                .map(|fact| fact.id.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        fact.with_context(|| format!("there is no fact `{id}`; there are {}", known()))?
            .check(value)?;
    }
    Ok(facts)
}

/// Decides everything; what is not given is assumed.
pub(crate) fn decide(given: &Facts) -> anyhow::Result<Answers> {
    decide_by(table(), given)
}

fn decide_by(table: &Table, given: &Facts) -> anyhow::Result<Answers> {
    for (id, value) in given {
        table
            .fact(id)
            .with_context(|| format!("there is no fact `{id}`"))?
            .check(value)?;
    }
    let chosen = choose(table, given);
    let known = known(table, given, &chosen);
    let mut answers = Vec::new();
    for decision in &table.decisions {
        let rule = chosen
            .get(decision.id.as_str())
            .context("a decision whose last rule has conditions")?;
        let option = decision.option(&decision.rules[*rule].choose);
        ensure!(option.is_some(), "a rule chooses what is no option");
        answers.extend(option.map(|option| {
            let rule = &decision.rules[*rule];
            let others = decision.rules.iter().filter(|other| {
                other.id != rule.id && !other.when.is_empty() && other.holds(table, &known)
            });
            let (same, otherwise): (Vec<_>, Vec<_>) =
                others.partition(|other| other.choose == rule.choose);
            let speaks = otherwise
                .iter()
                .map(|other| format!("{} (for {}: {})", other.because, other.choose, other.source));
            Answer {
                decision: decision.id.clone(),
                question: decision.asks.clone(),
                choose: rule.choose.clone(),
                name: option.name.clone(),
                rule: rule.id.clone(),
                because: rule.because.clone(),
                source: rule.source.clone(),
                also: same
                    .iter()
                    .map(|other| format!("{} ({})", other.because, other.source))
                    .collect(),
                against: option.against.iter().cloned().chain(speaks).collect(),
                would_change: changes(table, given, decision, &rule.choose),
                measure: option.measure.clone(),
            }
        }));
    }
    let assumed = table
        .facts
        .iter()
        .filter(|fact| !given.contains_key(&fact.id));
    Ok(Answers {
        given: given.clone(),
        assumed: assumed
            .map(|fact| (fact.id.clone(), fact.assumed.clone()))
            .collect(),
        answers,
    })
}

/// The index of the deciding rule, a decision.
type Chosen<'a> = BTreeMap<&'a str, usize>;

fn choose<'a>(table: &'a Table, given: &Facts) -> Chosen<'a> {
    let mut chosen = Chosen::new();
    for decision in &table.decisions {
        let known = known(table, given, &chosen);
        let first = decision
            .rules
            .iter()
            .position(|rule| rule.holds(table, &known));
        chosen.extend(first.map(|rule| (decision.id.as_str(), rule)));
    }
    chosen
}

/// Facts given and assumed, and what was chosen so far.
fn known(table: &Table, given: &Facts, chosen: &Chosen<'_>) -> Facts {
    let mut known = given.clone();
    for fact in &table.facts {
        known
            .entry(fact.id.clone())
            .or_insert_with(|| fact.assumed.clone());
    }
    for decision in &table.decisions {
        if let Some(rule) = chosen.get(decision.id.as_str()) {
            known.insert(
                decision.id.clone(),
                Value::Word(decision.rules[*rule].choose.clone()),
            );
        }
    }
    known
}

/// For each other answer the single facts that would lead to it: the word or the number nearest to what is known.
fn changes(table: &Table, given: &Facts, decision: &Decision, now: &str) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for fact in &table.facts {
        let current = given.get(&fact.id).unwrap_or(&fact.assumed);
        let mut seen = vec![now.to_owned()];
        for other in table.values(fact, current) {
            let mut otherwise = given.clone();
            otherwise.insert(fact.id.clone(), other.clone());
            let chosen = choose(table, &otherwise);
            let Some(rule) = chosen.get(decision.id.as_str()) else {
                continue;
            };
            let then = &decision.rules[*rule].choose;
            if !seen.contains(then) {
                seen.push(then.clone());
                changes.push(Change {
                    if_fact: format!("{} = {other}", fact.id),
                    then: then.clone(),
                });
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests;
