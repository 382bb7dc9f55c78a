//! Each append against what its writer was told.

use std::collections::HashMap;

use uuid::Uuid;

use crate::Wishes;
use crate::books::{Books, Event};
use crate::findings::{Findings, Rule};
use crate::journal::{Ack, Fate, Intent, Journals, Noted};

/// How the appends ended.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// Unknown to the writer for good: there, not there.
    pub(crate) found: u64,
    pub(crate) absent: u64,
    /// In doubt for a while, then acknowledged or refused when repeated.
    pub(crate) resolved_there: u64,
    pub(crate) resolved_absent: u64,
    pub(crate) repeated: u64,
}

pub(crate) fn judge(
    books: &Books,
    journals: &Journals,
    wishes: &Wishes,
    findings: &mut Findings,
) -> Balance {
    let mut stored: HashMap<Uuid, Vec<&Event>> = HashMap::new();
    for event in &books.events {
        stored.entry(event.token).or_default().push(event);
    }
    for (token, events) in &stored {
        findings.require(journals.appends.contains_key(token), Rule::Unasked, || {
            format!(
                "{token} at position {} stands in no journal",
                events[0].position
            )
        });
    }
    let mut balance = Balance::default();
    let mut tokens: Vec<_> = journals.appends.keys().collect();
    tokens.sort_unstable();
    for token in tokens {
        let noted = &journals.appends[token];
        let events = stored.get(token).map_or(&[][..], Vec::as_slice);
        count(&mut balance, noted, events);
        judge_one(*token, noted, events, findings);
    }
    if let Some(call) = &journals.longest {
        findings.require(call.ms <= wishes.stuck_ms, Rule::Stuck, || {
            format!(
                "{} was answered `{}` after {} ms",
                call.token, call.answer, call.ms
            )
        });
    }
    balance
}

fn judge_one(token: Uuid, noted: &Noted, events: &[&Event], findings: &mut Findings) {
    let intent = &noted.intent;
    let mut told = noted.acks.iter();
    if let Some(first) = told.next() {
        findings.require(told.all(|ack| ack == first), Rule::Misled, || {
            format!(
                "{token} was acknowledged in different places: {:?}",
                noted.acks
            )
        });
        // Without an event there is no id that says it is the same append: its key answers instead.
        let refused = noted.refused.as_ref().filter(|_| intent.count > 0);
        if let Some(why) = refused {
            findings.complain(
                Rule::Misled,
                format!("{token} was acknowledged and refused: {why}"),
            );
        }
    }
    if noted.refused.as_deref() == Some("invalid") {
        let what = format!("{token} was told that it is invalid, which it is not");
        findings.complain(Rule::Misled, what);
    }
    match noted.fate() {
        Fate::Acknowledged(ack) if intent.count > 0 => {
            findings.require(events.len() >= intent.count, Rule::Lost, || {
                let (there, count) = (events.len(), intent.count);
                format!("{token} at {ack:?}: {there} of {count} events are there")
            });
            acknowledged(token, &ack, events, findings);
        }
        Fate::Refused if !events.is_empty() => {
            let why = noted.refused.as_deref().unwrap_or("nothing was written");
            let at = events[0].position;
            findings.complain(
                Rule::Unasked,
                format!("{token} is at {at} and was refused: {why}"),
            );
        }
        _ => {}
    }
    if !events.is_empty() {
        whole(token, intent, events, findings);
        expected(token, intent, events, findings);
    }
}

fn acknowledged(token: Uuid, ack: &Ack, events: &[&Event], findings: &mut Findings) {
    let Some(last) = events.last() else { return };
    let right = last.position == ack.position && ack.version.is_none_or(|v| v == last.version);
    findings.require(right, Rule::Misplaced, || {
        format!(
            "{token} ends at position {} version {}, acknowledged was {ack:?}",
            last.position, last.version
        )
    });
}

/// All events or none, in their order, with nothing between them, as they were meant.
fn whole(token: Uuid, intent: &Intent, events: &[&Event], findings: &mut Findings) {
    let first = events[0].position;
    let together = events.iter().zip(0..).all(|(event, part)| {
        event.part == part && event.position == first + part && event.parts == intent.count as i64
    });
    findings.require(
        together && events.len() == intent.count,
        Rule::Split,
        || {
            let stands: Vec<String> = events
                .iter()
                .map(|event| format!("part {} at {}", event.part, event.position))
                .collect();
            format!("{token} of {} events: {}", intent.count, stands.join(", "))
        },
    );
    for event in events {
        if let Some(stream) = &intent.stream {
            findings.require(*stream == event.stream, Rule::Nonsense, || {
                format!("{token} was meant for {stream} and is in {}", event.stream)
            });
        }
        let id = usize::try_from(event.part)
            .ok()
            .and_then(|part| intent.ids.get(part));
        findings.require(id.is_none_or(|id| *id == event.id), Rule::Nonsense, || {
            format!("part {} of {token} has the id {}", event.part, event.id)
        });
    }
}

fn expected(token: Uuid, intent: &Intent, events: &[&Event], findings: &mut Findings) {
    let first = events[0];
    if let Some(expected) = intent.expected {
        findings.require(first.version == expected + 1, Rule::Expectation, || {
            format!(
                "{token} expected version {expected} and begins at {}",
                first.version
            )
        });
    }
    // A repository's events say how many events the decision was made on.
    if let Some(seen) = first.seen {
        findings.require(first.version == seen, Rule::Expectation, || {
            let (stream, version) = (&first.stream, first.version);
            format!("{token} in {stream} was decided on {seen} events and begins at {version}")
        });
    }
}

fn count(balance: &mut Balance, noted: &Noted, events: &[&Event]) {
    balance.repeated += noted.acks.len().saturating_sub(1) as u64;
    match noted.fate() {
        Fate::Acknowledged(_) => {
            balance.acknowledged += 1;
            balance.resolved_there += u64::from(noted.was_in_doubt());
        }
        Fate::Refused => {
            balance.refused += 1;
            balance.resolved_absent += u64::from(noted.was_in_doubt());
        }
        Fate::Unknown if events.is_empty() => balance.absent += 1,
        Fate::Unknown => balance.found += 1,
    }
}
