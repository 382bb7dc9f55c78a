use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "blocking-in-async",
    title: "A blocking call inside async code",
    why: "It stops a thread of the executor and with it every task on it; a few at once stop the service.",
    source: "https://docs.rs/tokio/latest/tokio/index.html#cpu-bound-tasks-and-blocking-code",
    mend: "Use the async form, or `spawn_blocking`.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "async fn wait() {\n    std::thread::sleep(Duration::from_secs(1));\n}\n",
        good: "async fn wait() {\n    tokio::time::sleep(Duration::from_secs(1)).await;\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source) {
        let sleeps = call.path == "std::thread::sleep" || call.path == "thread::sleep";
        let blocks = call.name == "block_on" || call.path.starts_with("reqwest::blocking::");
        // The main function of a program with a runtime of its own is async by a macro and alone.
        if (sleeps || blocks) && in_async(call.node) {
            found.at(call.node);
        }
    }
}
