//! The log on its own: no hole, nothing twice, versions in the order of positions.

use std::collections::{HashMap, HashSet};

use crate::books::Books;
use crate::findings::{Findings, Rule};

pub(crate) fn judge(books: &Books, findings: &mut Findings) {
    let mut versions: HashMap<&str, i64> = HashMap::new();
    let mut ids = HashSet::new();
    let mut parts = HashSet::new();
    let mut due = 1;
    for event in &books.events {
        let at = event.position;
        findings.require(at == due, Rule::PositionHole, || {
            format!("position {due} is due and {at} comes")
        });
        due = at + 1;
        let next = versions.entry(event.stream.as_str()).or_insert(0);
        findings.require(event.version == *next, Rule::VersionHole, || {
            let (stream, version) = (&event.stream, event.version);
            format!("{stream} has version {version} at position {at} where {next} is due")
        });
        *next = event.version + 1;
        findings.require(ids.insert(event.id), Rule::Twice, || {
            format!("{} at position {at} is there already", event.id)
        });
        findings.require(parts.insert((event.token, event.part)), Rule::Twice, || {
            let (token, part) = (event.token, event.part);
            format!("part {part} of {token} at position {at} is there already")
        });
        findings.require(!event.stream.is_empty(), Rule::Nonsense, || {
            format!("the stream of position {at} has no name")
        });
    }
}
