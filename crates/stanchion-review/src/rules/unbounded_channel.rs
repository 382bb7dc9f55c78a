use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "unbounded-channel",
    title: "A channel without a bound",
    why: "When the reader is slower than the writers the queue takes all memory; before that, everything in it is too late.",
    source: "https://docs.rs/tokio/latest/tokio/sync/mpsc/fn.unbounded_channel.html; Release It!, chapter 5: handle back pressure",
    mend: "Give it a capacity and decide what happens when it is full: wait, refuse, or drop the oldest.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "fn start() {\n    let (tx, rx) = tokio::sync::mpsc::unbounded_channel::<Job>();\n    run(tx, rx);\n}\n",
        good: "fn start() {\n    let (tx, rx) = tokio::sync::mpsc::channel::<Job>(JOBS_MAX);\n    run(tx, rx);\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.args().is_empty()) {
        let named = call.name == "unbounded_channel" || (call.name == "unbounded" && (call.path == "unbounded" || ["mpsc::", "flume::", "async_channel::", "crossbeam", "channel::", "kanal::"].iter().any(|path| call.path.contains(path))));
        let std = call.path == "std::sync::mpsc::channel" || (call.path == "mpsc::channel" && source.has("std::sync::mpsc"));
        if named || std {
            found.at(call.node);
        }
    }
}
