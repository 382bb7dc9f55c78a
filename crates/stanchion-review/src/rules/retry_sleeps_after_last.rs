use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "retry-sleeps-after-last",
    title: "A retry sleeps after its last try",
    why: "The caller waits the longest pause of all for an answer that is already known.",
    source: "https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/",
    mend: "Sleep before a further try only: `if attempt > 0 { sleep }` at the head of the loop.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn get() -> Result<Page, Error> {\n    for attempt in 0..3 {\n        if let Ok(page) = fetch().await { return Ok(page); }\n        tokio::time::sleep(backoff(attempt)).await;\n    }\n    Err(Error::Gone)\n}\n",
            good: "async fn get() -> Result<Page, Error> {\n    for attempt in 0..3 {\n        if attempt > 0 { tokio::time::sleep(backoff(attempt)).await; }\n        if let Ok(page) = fetch().await { return Ok(page); }\n    }\n    Err(Error::Gone)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc get() (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\tif err = fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t\ttime.Sleep(time.Second << i)\n\t}\n\treturn err\n}\n",
            good: "package a\n\nfunc get() (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\tif i > 0 {\n\t\t\ttime.Sleep(time.Second << i)\n\t\t}\n\t\tif err = fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn err\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    for kind in ["for_expression", "for_statement"] {
        for counted in source.each(kind).filter(|node| is_counted(*node)) {
            let Some(mut last) = counted.field("body").and_then(|body| body.named().last()) else { continue };
            while last.is("statement_list") {
                let Some(inner) = last.named().last() else { break };
                last = inner;
            }
            let text = last.text();
            let sleeps = text.starts_with("time.Sleep(") || ["tokio::time::sleep(", "sleep(", "time::sleep(", "thread::sleep(", "std::thread::sleep("].iter().any(|call| text.starts_with(call));
            let body = counted.field_text("body");
            // Leaving early is what makes it a retry rather than a rhythm, and an error is what it leaves.
            let retries = (body.contains("return") || body.contains("break")) && ["err", "Err", "Ok("].iter().any(|word| body.contains(word));
            if sleeps && retries {
                found.at(last);
            }
        }
    }
}
