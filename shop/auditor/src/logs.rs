//! Each log on its own: no hole, nothing twice.

use std::collections::{HashMap, HashSet};

use crate::findings::{Findings, Rule};
use crate::store::Store;

pub(crate) fn judge(store: &Store, findings: &mut Findings) {
    let module = store.module;
    let mut versions: HashMap<_, i64> = HashMap::new();
    let mut ids = HashSet::new();
    let mut due = 1;
    for event in &store.events {
        findings.require(event.position == due, Rule::Hole, || {
            format!(
                "{module}: position {due} is missing, {} comes next",
                event.position
            )
        });
        due = event.position + 1;
        let next = versions.entry(event.stream).or_insert(0);
        findings.require(event.version == *next, Rule::Hole, || {
            let stream = format!("{}-{}", event.category, event.name);
            format!(
                "{module}: {stream} has version {} where {next} is due",
                event.version
            )
        });
        *next = event.version + 1;
        findings.require(ids.insert(event.id), Rule::Twice, || {
            format!(
                "{module}: {} at position {} is there already",
                event.id, event.position
            )
        });
        findings.require(!event.name.is_empty(), Rule::Nonsense, || {
            format!(
                "{module}: the stream of position {} has no name",
                event.position
            )
        });
    }
}
