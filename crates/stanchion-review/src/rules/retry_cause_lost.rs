use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "retry-cause-lost",
    title: "A retry that gives up does not say why it failed",
    why: "\"Gave up after 5 tries\" is all that is left of five errors: the one that would have told what to mend is gone.",
    source: "https://go.dev/blog/go1.13-errors; https://docs.rs/thiserror (source)",
    mend: "Keep the last error and return it, wrapped with the number of tries.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn get() -> Result<Page, Error> {\n    for attempt in 0..3 {\n        tokio::time::sleep(backoff(attempt)).await;\n        if let Ok(page) = fetch().await { return Ok(page); }\n    }\n    Err(Error::GaveUp)\n}\n",
            good: "async fn get() -> Result<Page, Error> {\n    let mut last = None;\n    for attempt in 0..3 {\n        tokio::time::sleep(backoff(attempt)).await;\n        match fetch().await {\n            Ok(page) => return Ok(page),\n            Err(error) => last = Some(error),\n        }\n    }\n    Err(Error::GaveUp(last))\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc get() error {\n\tfor i := 0; i < 3; i++ {\n\t\tpause(i)\n\t\tif err := fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn errors.New(\"gave up\")\n}\n",
            good: "package a\n\nfunc get() (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\tpause(i)\n\t\tif err = fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn fmt.Errorf(\"gave up: %w\", err)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for retried in source.each("for_expression").filter(|node| is_counted(*node)) {
        let body = retried.field_text("body");
        let drops = body.contains("if let Ok(") || body.contains("Err(_)");
        if !body.contains("sleep(") || !body.contains("return Ok(") || !drops {
            continue;
        }
        let statement = retried.parent().filter(|up| up.is("expression_statement")).unwrap_or(retried);
        let Some(next) = statement.later_siblings().next() else { continue };
        let text = next.text();
        let fails = ["Err(", "return Err(", "bail!(", "anyhow::bail!("].iter().any(|start| text.starts_with(start));
        if fails && !["last", "err)", "error)", "(e)"].iter().any(|kept| text.contains(kept)) {
            found.at(next);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for retried in source.each("for_statement").filter(|node| is_counted(*node)) {
        let body = retried.field_text("body");
        let tries = body.contains("err == nil") || body.contains("err != nil");
        let pauses = ["time.Sleep(", "time.After(", "pause(", "backoff", "Backoff"].iter().any(|word| body.contains(word));
        let Some(next) = retried.later_siblings().find(|next| !next.kind().ends_with("comment")).filter(|next| next.is("return_statement")) else { continue };
        let text = next.text();
        let fresh = text.contains("errors.New(") || (text.contains("fmt.Errorf(") && !text.contains("%w"));
        if tries && pauses && fresh && !text.to_ascii_lowercase().replace("errors.new", "").replace("fmt.errorf", "").contains("err") {
            found.at(next);
        }
    }
}
