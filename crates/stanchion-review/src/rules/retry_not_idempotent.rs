use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "retry-not-idempotent",
    title: "A request that changes something is sent again without a key",
    why: "An answer that was lost is no request that was lost: the second try charges, sends or books a second time.",
    source: "https://stripe.com/blog/idempotency; https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/",
    mend: "Send the same idempotency key with every try, or retry only what may be done twice.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn charge(http: &Client) -> Result<Response, Error> {\n    for attempt in 0..3 {\n        if attempt > 0 { tokio::time::sleep(backoff(attempt)).await; }\n        if let Ok(answer) = http.post(URL).timeout(LIMIT).send().await { return Ok(answer); }\n    }\n    Err(Error::Gone)\n}\n",
            good: "async fn charge(http: &Client, id: &str) -> Result<Response, Error> {\n    for attempt in 0..3 {\n        if attempt > 0 { tokio::time::sleep(backoff(attempt)).await; }\n        if let Ok(answer) = http.post(URL).header(\"idempotency-key\", id).timeout(LIMIT).send().await { return Ok(answer); }\n    }\n    Err(Error::Gone)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc charge(ctx context.Context, c *client) (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\treq, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, body())\n\t\tif err = c.send(req); err == nil {\n\t\t\treturn nil\n\t\t}\n\t\tpause(ctx, i)\n\t}\n\treturn err\n}\n",
            good: "package a\n\nfunc charge(ctx context.Context, c *client, id string) (err error) {\n\tfor i := 0; i < 3; i++ {\n\t\treq, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, body())\n\t\treq.Header.Set(\"Idempotency-Key\", id)\n\t\tif err = c.send(req); err == nil {\n\t\t\treturn nil\n\t\t}\n\t\tpause(ctx, i)\n\t}\n\treturn err\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    // A key may be set where the request is made, or the other side may know the request by its own id.
    let keyed = source.text.to_ascii_lowercase().contains("idempoten");
    for call in calls(source).filter(|_| !keyed) {
        let rust = call.name == "post" && call.receiver.is_some() && call.args().len() == 1 && source.language == Language::Rust;
        let go = ["http.Post", "http.PostForm"].contains(&call.path) || (call.path.starts_with("http.NewRequest") && call.args().iter().any(|arg| ["http.MethodPost", "\"POST\""].contains(&arg.text())));
        let Some(around) = loop_of(call.node).filter(|around| (rust || go) && (is_counted(*around) || is_endless(*around))) else { continue };
        let body = around.field_text("body");
        let retries = (body.contains("return") || body.contains("break")) && ["sleep(", "Sleep(", "backoff", "Backoff", "pause(", "time.After("].iter().any(|word| body.contains(word));
        // What only asks may be asked twice.
        let asks = ["token", "query", "graphql", "search", "oauth", "rpc"].iter().any(|word| call.args_text().to_ascii_lowercase().contains(word));
        if retries && !asks {
            found.at(call.node);
        }
    }
}
