use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "retry-without-jitter",
    title: "A retry waits a fixed time",
    why: "All callers that failed together come back together, again and again.",
    source: "https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/",
    mend: "Grow the pause and draw it at random below its cap (full jitter).",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn get() -> Result<Page, Error> {\n    for attempt in 0..3 {\n        if attempt > 0 { tokio::time::sleep(Duration::from_secs(1)).await; }\n        if let Ok(page) = fetch().await { return Ok(page); }\n    }\n    Err(Error::Gone)\n}\n",
            good: "async fn get() -> Result<Page, Error> {\n    for attempt in 0..3 {\n        if attempt > 0 { tokio::time::sleep(jittered(attempt)).await; }\n        if let Ok(page) = fetch().await { return Ok(page); }\n    }\n    Err(Error::Gone)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc get() (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\tif i > 0 {\n\t\t\ttime.Sleep(time.Second)\n\t\t}\n\t\tif err = fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn err\n}\n",
            good: "package a\n\nfunc get() (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\tif i > 0 {\n\t\t\ttime.Sleep(backoff.WithJitter(i))\n\t\t}\n\t\tif err = fetch(); err == nil {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn err\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    let fixed = ["Duration::from_secs(", "Duration::from_millis(", "time.Second", "time.Millisecond", "time.Minute"];
    for call in calls(source).filter(|call| call.path.ends_with("time::sleep") || call.path == "time.Sleep" || call.path == "sleep") {
        let Some(around) = loop_of(call.node).filter(|around| is_counted(*around)) else { continue };
        let args = call.args_text();
        let body = around.field_text("body");
        let retries = (body.contains("return") || body.contains("break")) && ["err", "Err", "Ok("].iter().any(|word| body.contains(word));
        let plain = fixed.iter().any(|unit| args.contains(unit)) && !["rand", "jitter", "Jitter", "<<", "pow"].iter().any(|word| body.contains(word));
        if retries && plain {
            found.at(call.node);
        }
    }
}
