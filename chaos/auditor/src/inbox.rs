//! Inbox keys: each lets one effect through, and says where it is.

use std::collections::{BTreeMap, HashMap};

use crate::books::{Books, Event};
use crate::findings::{Findings, Rule};
use crate::journal::{Fate, Journals};

/// What became of the keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) used: usize,
    /// Appends that came too late for their key.
    pub(crate) turned_away: usize,
}

pub(crate) fn judge(books: &Books, journals: &Journals, findings: &mut Findings) -> Keys {
    let mut effects: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &books.events {
        if let Some(key) = &event.key {
            effects.entry(key).or_default().push(event);
        }
    }
    let mut rows: HashMap<&str, Option<i64>> = HashMap::new();
    for row in &books.inbox {
        findings.require(
            rows.insert(&row.key, row.position).is_none(),
            Rule::InboxKey,
            || format!("{} stands in the inbox twice", row.key),
        );
    }
    for (key, events) in &effects {
        one_effect(key, events, rows.get(key), findings);
    }
    told(&effects, &rows, journals, findings)
}

fn one_effect(key: &str, events: &[&Event], row: Option<&Option<i64>>, findings: &mut Findings) {
    let first = events[0];
    let alone = events.iter().all(|event| event.token == first.token);
    findings.require(alone, Rule::InboxKey, || {
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        format!("{key} let several appends through, at {positions:?}")
    });
    let last = events.last().map(|event| event.position);
    match row {
        None => findings.complain(
            Rule::InboxKey,
            format!("{key} has its effect at {last:?} and no row"),
        ),
        Some(position) => findings.require(*position == last, Rule::InboxKey, || {
            format!("{key} has its effect at {last:?}, its row says {position:?}")
        }),
    }
}

/// Rows without events come from appends without any, and a refusal names the place of the first effect.
fn told(
    effects: &BTreeMap<&str, Vec<&Event>>,
    rows: &HashMap<&str, Option<i64>>,
    journals: &Journals,
    findings: &mut Findings,
) -> Keys {
    let mut empty = HashMap::new();
    let mut keys = Keys {
        used: rows.len(),
        turned_away: 0,
    };
    for (token, noted) in &journals.appends {
        let Some(key) = noted.intent.key.as_deref() else {
            continue;
        };
        if noted.intent.count == 0 {
            empty.insert(key, token);
        }
        if matches!(noted.fate(), Fate::Acknowledged(_)) {
            findings.require(rows.contains_key(key), Rule::InboxKey, || {
                format!("{token} was acknowledged and its key {key} is not in the inbox")
            });
        }
        if noted.refused.as_deref() == Some("handled") {
            keys.turned_away += 1;
            let row = rows.get(key).copied().flatten();
            findings.require(
                row.is_some() && noted.handled_at.is_none_or(|at| Some(at) == row),
                Rule::InboxKey,
                || {
                    let told = noted.handled_at;
                    format!(
                        "{token} was told that {key} has its effect at {told:?}, it is at {row:?}"
                    )
                },
            );
        }
    }
    for key in rows.keys() {
        let known = effects.contains_key(key) || empty.contains_key(key);
        findings.require(known, Rule::InboxKey, || {
            format!("{key} is in the inbox and has no effect")
        });
    }
    keys
}
