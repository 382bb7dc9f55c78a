use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::Facts;

/// What the table asks, knows and says: `rules.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(rename = "fact")]
    pub(crate) facts: Vec<Fact>,
    #[serde(rename = "decision")]
    pub(crate) decisions: Vec<Decision>,
}

/// Something that is asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fact {
    pub(crate) id: String,
    pub(crate) asks: String,
    /// The possible words in their order; a number otherwise.
    pub(crate) words: Option<Vec<String>>,
    /// The least number.
    pub(crate) least: Option<i64>,
    /// What is taken when nobody says.
    pub(crate) assumed: Value,
}

/// A fact's value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Number(i64),
    Word(String),
}

/// One question with its options and its rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    pub(crate) id: String,
    pub(crate) asks: String,
    #[serde(rename = "option")]
    pub(crate) options: Vec<Choice>,
    #[serde(rename = "rule")]
    pub(crate) rules: Vec<Rule>,
}

/// One possible answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) against: Vec<String>,
    pub(crate) measure: Vec<String>,
}

/// Conditions, what they lead to, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) when: Vec<Condition>,
    pub(crate) choose: String,
    pub(crate) because: String,
    pub(crate) source: String,
    /// Facts with which it makes the difference.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests' part of the table"))]
    pub(crate) decides: Facts,
}

/// `team_size <= 5`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Condition {
    fact: String,
    compare: Compare,
    with: Value,
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Is,
    IsNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// The table that is built in.
pub(crate) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let read = toml::from_str(include_str!("rules.toml"));
        read.expect("the table is part of the binary and its tests read it")
    });
    &TABLE
}

impl Table {
    pub(crate) fn fact(&self, id: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.id == id)
    }

    /// A fact's other values, nearest first: the other words, or the numbers at which a rule turns.
    pub(super) fn values(&self, fact: &Fact, current: &Value) -> Vec<Value> {
        let mut values: Vec<Value> = match &fact.words {
            Some(words) => words.iter().cloned().map(Value::Word).collect(),
            None => self.turns(fact),
        };
        values.retain(|value| value != current && fact.check(value).is_ok());
        values.sort_by_key(|value| fact.place(value).abs_diff(fact.place(current)));
        values
    }

    fn turns(&self, fact: &Fact) -> Vec<Value> {
        let conditions = self
            .decisions
            .iter()
            .flat_map(|decision| &decision.rules)
            .flat_map(|rule| &rule.when);
        let mut turns = Vec::new();
        for condition in conditions.filter(|condition| condition.fact == fact.id) {
            if let Value::Number(with) = condition.with {
                turns.extend([with - 1, with, with + 1].map(Value::Number));
            }
        }
        turns
    }
}

impl Fact {
    pub(crate) fn check(&self, value: &Value) -> anyhow::Result<()> {
        match (&self.words, value) {
            (Some(words), Value::Word(word)) => {
                ensure!(
                    words.contains(word),
                    "{} is one of {}, not `{word}`",
                    self.id,
                    words.join(", ")
                );
            }
            (None, Value::Number(number)) => {
                let least = self.least.unwrap_or(i64::MIN);
                ensure!(
                    *number >= least,
                    "{} is at least {least}, not {number}",
                    self.id
                );
            }
            (Some(words), Value::Number(_)) => {
                ensure!(false, "{} is one of {}", self.id, words.join(", "))
            }
            (None, Value::Word(word)) => ensure!(false, "{} is a number, not `{word}`", self.id),
        }
        Ok(())
    }

    fn place(&self, value: &Value) -> i64 {
        match value {
            Value::Number(number) => *number,
            Value::Word(word) => {
                let place = self.words.iter().flatten().position(|known| known == word);
                place
                    .and_then(|place| i64::try_from(place).ok())
                    .unwrap_or(-1)
            }
        }
    }
}

impl Decision {
    pub(crate) fn option(&self, id: &str) -> Option<&Choice> {
        self.options.iter().find(|option| option.id == id)
    }
}

impl Rule {
    pub(super) fn holds(&self, table: &Table, known: &Facts) -> bool {
        self.when
            .iter()
            .all(|condition| condition.holds(table, known))
    }
}

impl Condition {
    fn holds(&self, table: &Table, known: &Facts) -> bool {
        let Some(value) = known.get(&self.fact) else {
            return false;
        };
        let order = match table.fact(&self.fact) {
            Some(fact) => fact.place(value).cmp(&fact.place(&self.with)),
            // An answer given earlier: it is that one, or it is not.
            None if *value == self.with => Ordering::Equal,
            None => return matches!(self.compare, Compare::IsNot),
        };
        match self.compare {
            Compare::Is => order.is_eq(),
            Compare::IsNot => order.is_ne(),
            Compare::Below => order.is_lt(),
            Compare::AtMost => order.is_le(),
            Compare::Above => order.is_gt(),
            Compare::AtLeast => order.is_ge(),
        }
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> (&str, &Value) {
        (&self.fact, &self.with)
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [fact, compare, with] = words[..] else {
            return Err(format!("`{text}` is no `fact = value`"));
        };
        let compare = match compare {
            "=" => Compare::Is,
            "!=" => Compare::IsNot,
            "<" => Compare::Below,
            "<=" => Compare::AtMost,
            ">" => Compare::Above,
            ">=" => Compare::AtLeast,
            other => return Err(format!("`{other}` compares nothing")),
        };
        let with = with
            .parse()
            .map_or_else(|_| Value::Word(with.to_owned()), Value::Number);
        Ok(Self {
            fact: fact.to_owned(),
            compare,
            with,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}
