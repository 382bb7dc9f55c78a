use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "guard-dropped-at-once",
    title: "A permit or guard is dropped in the statement that takes it",
    why: "`let _ =` binds nothing: the permit is back before the work begins, so the bulkhead holds nobody.",
    source: "https://rust-lang.github.io/rust-clippy/master/index.html#let_underscore_lock",
    mend: "Give it a name that lives as long as the work: `let _permit = ..`.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "async fn call(places: &Semaphore) -> Result<(), Error> {\n    let _ = places.acquire().await?;\n    work().await\n}\n",
        good: "async fn call(places: &Semaphore) -> Result<(), Error> {\n    let _place = places.acquire().await?;\n    work().await\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["acquire", "acquire_owned", "lock", "try_acquire"].contains(&call.name) && call.receiver.is_some()) {
        let Some((statement, names)) = binding(call.node) else { continue };
        let rest = statement.field("value").and_then(|value| value.text().strip_prefix(call.node.text())).unwrap_or(".x.");
        let whole = ["", ".await", ".unwrap()", "?", ".await?", ".await.unwrap()"].contains(&rest) || rest.starts_with(".await.expect(");
        let permit = call.name != "acquire" || says(call.receiver_word(), &["sem", "semaphore", "permits", "places", "slots", "limit", "limiter", "bulkhead"]);
        if statement.is("let_declaration") && names == ["_"] && whole && permit {
            found.at(call.node);
        }
    }
}
