use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "retry-without-end",
    title: "A retry without cap or deadline",
    why: "While the other side is down every caller stays, and all of them knock when it comes back.",
    source: "https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/",
    mend: "Bound the tries and the time, and take them from a budget that the whole process shares.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn charge(gateway: &Gateway) -> Receipt {\n    loop {\n        match gateway.charge().await {\n            Ok(receipt) => return receipt,\n            Err(_) => tokio::time::sleep(PAUSE).await,\n        }\n    }\n}\n",
            good: "async fn charge(gateway: &Gateway) -> Result<Receipt, Error> {\n    let mut tries = 0;\n    loop {\n        match gateway.charge().await {\n            Err(_) if tries < TRIES_MAX => tries += 1,\n            answer => return answer,\n        }\n        tokio::time::sleep(backoff(tries)).await;\n    }\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc charge(g Gateway) Receipt {\n\tfor {\n\t\tr, err := g.Charge()\n\t\tif err == nil {\n\t\t\treturn r\n\t\t}\n\t\ttime.Sleep(time.Second)\n\t}\n}\n",
            good: "package a\n\nfunc charge(ctx context.Context, g Gateway) (r Receipt, err error) {\n\tfor attempt := 0; attempt < 3; attempt++ {\n\t\tif attempt > 0 && !pause(ctx, backoff(attempt)) {\n\t\t\treturn r, ctx.Err()\n\t\t}\n\t\tif r, err = g.Charge(); err == nil {\n\t\t\treturn r, nil\n\t\t}\n\t}\n\treturn r, err\n}\n",
        },
    ],
};

/// Loops that are meant to run as long as the process.
const LASTING: [&str; 19] = ["run", "serve", "listen", "watch", "worker", "loop", "poll", "consume", "main", "start", "subscribe", "follow", "monitor", "keep", "reconnect", "background", "task", "wait", "tail"];
const COUNTS: [&str; 9] = ["attempt", "tries", "retries", "retry_count", "count", "max", "deadline", "elapsed", "timeout"];

fn lasting(node: Node<'_>) -> bool {
    function_of(node).is_none_or(|function| says(function.field_text("name"), &LASTING))
}

fn rust(source: &Source, found: &mut Found) {
    for endless in source.each("loop_expression") {
        let text = endless.text();
        let sleeps = text.contains("sleep(");
        let retries = text.contains("Err(") && text.contains("Ok(") && (text.contains("return") || text.contains("break"));
        let bounded = COUNTS.iter().any(|word| text.to_ascii_lowercase().contains(word)) || text.contains("select!") || text.contains(" if ");
        let own = body_of(endless).is_some_and(|body| body.is("function_item"));
        if sleeps && retries && !bounded && own && !lasting(endless) {
            found.at(endless);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for endless in source.each("for_statement").filter(|node| is_endless(*node)) {
        let text = endless.text();
        let returns = ["err == nil {\n", "err == nil{"].iter().any(|branch| text.split(branch).nth(1).is_some_and(|after| after.trim_start().starts_with("return") || after.trim_start().starts_with("break")));
        let bounded = COUNTS.iter().any(|word| text.to_ascii_lowercase().contains(word)) || text.contains("<-") || text.contains("ctx.Err()");
        let own = body_of(endless).is_some_and(|body| !body.is("func_literal"));
        if text.contains("time.Sleep(") && returns && !bounded && own && !lasting(endless) {
            found.at(endless);
        }
    }
}
