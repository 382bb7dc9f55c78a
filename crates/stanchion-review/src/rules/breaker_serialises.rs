use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "breaker-serialises",
    title: "A circuit breaker holds its lock while it calls",
    why: "Calls run one at a time: the breaker is the outage that it should end early.",
    source: "https://martinfowler.com/bliki/CircuitBreaker.html",
    mend: "Ask under the lock whether the call may be made, end the lock, call, take it again for the outcome.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "impl Breaker {\n    async fn call<F: Future>(&self, work: F) -> F::Output {\n        let mut state = self.state.lock().await;\n        let answer = work.await;\n        state.count();\n        answer\n    }\n}\n",
            good: "impl Breaker {\n    async fn call<F: Future>(&self, work: F) -> F::Output {\n        self.state.lock().await.enter();\n        let answer = work.await;\n        self.state.lock().await.count();\n        answer\n    }\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (b *Breaker) Do(call func() error) error {\n\tb.mu.Lock()\n\tdefer b.mu.Unlock()\n\terr := call()\n\tb.count(err)\n\treturn err\n}\n",
            good: "package a\n\nfunc (b *Breaker) Do(call func() error) error {\n\tif !b.enter() {\n\t\treturn ErrOpen\n\t}\n\terr := call()\n\tb.count(err)\n\treturn err\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for owner in source.each("impl_item").filter(|owner| says(owner.field_text("type").split('<').next().unwrap_or(""), &["breaker"])) {
        for call in calls_in(owner).filter(|call| call.name == "lock") {
            let Some((statement, names)) = binding(call.node) else { continue };
            let value = statement.field("value").map_or("", Node::text);
            let guard = ["", ".await", ".unwrap()"].iter().any(|end| value.strip_prefix(call.node.text()) == Some(end));
            let Some(function) = function_of(call.node).filter(|_| guard) else { continue };
            let given = format!("drop({})", names[0]);
            let parameters: Vec<&str> = function.field("parameters").map(|list| list.each("parameter").map(|one| one.field_text("pattern")).collect()).unwrap_or_default();
            let calls_one = statement.later_siblings().take_while(|later| !later.text().contains(&given)).find(|later| {
                parameters.iter().any(|name| later.text().contains(&format!("{name}().await")) || later.text().contains(&format!("{name}.await")))
            });
            if let Some(later) = calls_one {
                found.at(later);
            }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for function in functions(source).filter(|function| says(function.field_text("receiver"), &["breaker", "circuit_breaker"])) {
        let functions: Vec<&str> = go_parameters(function).into_iter().filter(|(_, kind)| kind.text().starts_with("func(")).map(|(name, _)| name).collect();
        let Some(unlock) = function.each("defer_statement").find(|node| node.text().ends_with(".Unlock()")) else { continue };
        for call in calls_in(function).filter(|call| call.node.start() > unlock.start() && functions.contains(&call.path)) {
            found.at(call.node);
        }
    }
}
