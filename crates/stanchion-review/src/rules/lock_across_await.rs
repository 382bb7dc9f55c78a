use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "lock-across-await",
    title: "A blocking lock is held across an await",
    why: "While the task sleeps with the lock, every thread that wants it stands still; two such tasks on one thread never end.",
    source: "https://docs.rs/tokio/latest/tokio/sync/struct.Mutex.html#which-kind-of-mutex-should-you-use",
    mend: "End the guard before the await: a block of its own, a clone of the value, or `drop(guard)`.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "async fn add(cache: &Mutex<Map>, id: u64) {\n    let mut map = cache.lock().unwrap();\n    let value = load(id).await;\n    map.insert(id, value);\n}\n",
        good: "async fn add(cache: &Mutex<Map>, id: u64) {\n    let value = load(id).await;\n    cache.lock().unwrap().insert(id, value);\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["lock", "read", "write"].contains(&call.name) && call.args().is_empty()) {
        let Some((statement, names)) = binding(call.node).filter(|(statement, _)| statement.is("let_declaration")) else { continue };
        let value = statement.field("value").map_or("", Node::text);
        let blocking = [".unwrap()", ".expect("].iter().any(|end| value.strip_prefix(call.node.text()).is_some_and(|rest| rest.starts_with(end) && !rest[1..].contains('.')));
        let parking = call.name == "lock" && value == call.node.text() && source.has("parking_lot::");
        if !(blocking || parking) || !in_async(call.node) || names == ["_"] {
            continue;
        }
        let held = statement.later_siblings().take_while(|later| !ends(*later, names[0]));
        let waits = held.into_iter().any(|later| {
            (later.is("await_expression") && same_body(later, call.node)) || later.each("await_expression").any(|wait| same_body(wait, call.node))
        });
        if waits {
            found.at(call.node);
        }
    }
}

/// Whether a statement gives the guard away.
fn ends(statement: Node<'_>, guard: &str) -> bool {
    statement.text().contains(&format!("drop({guard})"))
}
