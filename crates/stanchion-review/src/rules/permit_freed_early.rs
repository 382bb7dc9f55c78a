use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "permit-freed-early",
    title: "A permit is freed while its work runs on",
    why: "The task runs on its own, the permit ends with the function: the bulkhead counts callers, not work.",
    source: "https://docs.rs/tokio/latest/tokio/sync/struct.Semaphore.html; Release It!, chapter 5: bulkheads",
    mend: "Take it with `acquire_owned` and move it into the task; in Go free it inside the goroutine.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn start(&self) -> Result<(), Error> {\n    let _permit = self.places.acquire().await?;\n    tokio::spawn(async move { work().await });\n    Ok(())\n}\n",
            good: "async fn start(&self) -> Result<(), Error> {\n    let permit = self.places.clone().acquire_owned().await?;\n    tokio::spawn(async move { let _permit = permit; work().await });\n    Ok(())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (p *pool) start() {\n\tp.sem <- struct{}{}\n\tdefer func() { <-p.sem }()\n\tgo p.work()\n}\n",
            good: "package a\n\nfunc (p *pool) start() {\n\tp.sem <- struct{}{}\n\tgo func() {\n\t\tdefer func() { <-p.sem }()\n\t\tp.work()\n\t}()\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["acquire", "acquire_owned"].contains(&call.name)) {
        let Some((statement, names)) = binding(call.node).filter(|(statement, names)| statement.is("let_declaration") && names != &["_"]) else { continue };
        let spawned = statement.later_siblings().find(|later| {
            let text = later.text();
            ["tokio::spawn(", "spawn("].iter().any(|call| text.starts_with(call))
        });
        let moved = statement.later_siblings().any(|later| has_word(later.text(), names[0]));
        if let Some(spawned) = spawned.filter(|_| !moved) {
            found.at(spawned);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for defer in source.each("defer_statement").filter(|node| node.text().contains("{ <-")) {
        let Some(body) = body_of(defer) else { continue };
        let semaphore = defer.text().split("<-").nth(1).unwrap_or("").trim_end_matches([' ', '}', '(', ')']);
        let taken = body.each("send_statement").any(|send| send.text().starts_with(semaphore) && body_of(send) == Some(body));
        let freed_inside = body.each("go_statement").any(|go| go.text().contains(&format!("<-{semaphore}")));
        if let Some(go) = body.each("go_statement").find(|go| taken && !freed_inside && go.start() > defer.start() && body_of(*go) == Some(body)) {
            let waits = body.text()[go.end() - body.start()..].contains(".Wait()");
            if !waits {
                found.at(go);
            }
        }
    }
}
