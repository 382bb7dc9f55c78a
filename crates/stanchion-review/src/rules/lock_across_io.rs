use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "lock-across-io",
    title: "A lock is held across a call to the outside",
    why: "The slowest dependency decides how long everybody waits for the lock: one at a time, as long as its timeout.",
    source: "https://go.dev/wiki/MutexOrChannel; Release It!, chapter 4: blocked threads",
    mend: "Copy what is needed under the lock, end it, then call.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn renew(&self) -> Result<(), Error> {\n    let mut token = self.token.lock().await;\n    let answer = self.http.get(URL).send().await?;\n    *token = answer.text().await?;\n    Ok(())\n}\n",
            good: "async fn renew(&self) -> Result<(), Error> {\n    let answer = self.http.get(URL).send().await?;\n    let text = answer.text().await?;\n    *self.token.lock().await = text;\n    Ok(())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (c *client) renew(ctx context.Context) error {\n\tc.mu.Lock()\n\tdefer c.mu.Unlock()\n\tresp, err := c.http.Do(c.request)\n\treturn c.keep(resp, err)\n}\n",
            good: "package a\n\nfunc (c *client) renew(ctx context.Context) error {\n\tresp, err := c.http.Do(c.request)\n\tc.mu.Lock()\n\tdefer c.mu.Unlock()\n\treturn c.keep(resp, err)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["lock", "write"].contains(&call.name) && call.args().is_empty()) {
        let Some((statement, names)) = binding(call.node) else { continue };
        let value = statement.field("value").map_or("", Node::text);
        let plain = value.strip_prefix(call.node.text()).is_some_and(|rest| rest == ".await");
        if !statement.is("let_declaration") || !plain {
            continue;
        }
        let given = format!("drop({})", names[0]);
        let held = statement.later_siblings().take_while(|later| !later.text().contains(&given));
        let outside = held.into_iter().flat_map(|later| later.each("await_expression")).find(|wait| same_body(*wait, call.node) && goes_out(wait.text()));
        // A guard that is itself the connection is how one connection is shared.
        if let Some(wait) = outside.filter(|wait| !has_word(wait.text(), names[0])) {
            found.at(wait);
        }
    }
}

fn goes_out(text: &str) -> bool {
    [".send().await", ".fetch_one(", ".fetch_all(", ".fetch_optional(", "reqwest::get("].iter().any(|call| text.contains(call))
}

fn go(source: &Source, found: &mut Found) {
    for function in functions(source) {
        let Some(unlock) = function.each("defer_statement").find(|node| {
            let text = node.text();
            (text.ends_with(".Unlock()") || text.ends_with(".RUnlock()")) && body_of(*node) == Some(function)
        }) else {
            continue;
        };
        for call in calls_in(function).filter(|call| call.node.start() > unlock.start() && body_of(call.node) == Some(function)) {
            let http = ["http.Get", "http.Post", "http.PostForm", "time.Sleep"].contains(&call.path) || (call.name == "Do" && says(call.receiver_word(), &["http", "client"]) && call.args().len() == 1);
            let sql = ["QueryContext", "ExecContext", "QueryRowContext"].contains(&call.name) && says(call.receiver_word(), &["db", "pool"]);
            if http || sql {
                found.at(call.node);
                break;
            }
        }
    }
}
