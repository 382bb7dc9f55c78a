//! Whoever reads a log has read it to its end, and nothing was left lying.

use crate::findings::{Findings, Rule};
use crate::store::Store;

pub(crate) fn judge(store: &Store, all: &[Store], findings: &mut Findings) {
    let module = store.module;
    for checkpoint in &store.checkpoints {
        let Some(source) = all.iter().find(|source| source.log == checkpoint.log) else {
            let text = format!(
                "{module}: {} reads the log {}, which is none of ours",
                checkpoint.name, checkpoint.log
            );
            findings.complain(Rule::LeftBehind, text);
            continue;
        };
        let (at, head) = (checkpoint.position, source.head());
        findings.require(at == head, Rule::LeftBehind, || {
            format!(
                "{module}: {} is at {at} of {} in the log of {}",
                checkpoint.name, head, source.module
            )
        });
    }
    for (consumer, state, reason) in &store.parked {
        let text = format!("{module}: a message of {consumer} is put aside ({state}): {reason}");
        findings.complain(Rule::PutAside, text);
    }
    for (category, name) in &store.timers {
        let text = format!("{module}: a timer `{name}` of a {category} is still set");
        findings.complain(Rule::PutAside, text);
    }
}
