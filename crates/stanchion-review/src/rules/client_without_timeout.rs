use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "client-without-timeout",
    title: "An HTTP client without a timeout",
    why: "One silent server holds a task, a connection and a caller for ever; all of them, under load.",
    source: "https://pkg.go.dev/net/http#Client (Timeout: zero means no timeout); https://docs.rs/reqwest/latest/reqwest/struct.ClientBuilder.html#method.timeout",
    mend: "Set a timeout on the client, and a deadline on the call.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn client() -> reqwest::Client {\n    reqwest::Client::new()\n}\n",
            good: "fn client() -> reqwest::Result<reqwest::Client> {\n    reqwest::Client::builder().timeout(TIMEOUT).build()\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc rates() (*http.Response, error) {\n\treturn http.Get(\"https://rates.example/today\")\n}\n",
            good: "package a\n\nvar client = &http.Client{Timeout: 5 * time.Second}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    if !source.has("reqwest") || source.has(".timeout(") || source.has("time::timeout(") {
        return;
    }
    for call in calls(source) {
        let imported = source.has("use reqwest::Client;") || source.has("use reqwest::{Client");
        let made = ["reqwest::Client::new", "reqwest::get", "reqwest::Client::default"].contains(&call.path) || (imported && ["Client::new", "Client::default"].contains(&call.path));
        let built = call.name == "build" && (call.receiver_text().starts_with("reqwest::Client") || (imported && call.receiver_text().starts_with("Client::builder()")));
        if made || built {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["http.Get", "http.Post", "http.PostForm", "http.Head"].contains(&call.path)) {
        if source.has("\"net/http\"") || !source.has("import") {
            found.at(call.node);
        }
    }
    // Requests with a context may have a deadline in it, which another file decides.
    let by_context = source.has("NewRequestWithContext") || source.has(".WithContext(");
    for literal in source.each("composite_literal").filter(|node| node.field_text("type") == "http.Client") {
        let timed = keys(literal).iter().any(|(key, _)| *key == "Timeout") || source.has(".Timeout =");
        if !timed && !by_context {
            found.at(literal);
        }
    }
    for field in source.each("selector_expression").filter(|node| node.text() == "http.DefaultClient.Do" && !by_context) {
        found.at(field);
    }
}
