use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "spawn-per-item",
    title: "A task is started for each item without a bound",
    why: "The size of the input decides how many connections, buffers and calls are open at once.",
    source: "https://pkg.go.dev/golang.org/x/sync/errgroup#Group.SetLimit; https://docs.rs/futures/latest/futures/stream/trait.StreamExt.html#method.buffer_unordered",
    mend: "Bound it: a semaphore, `errgroup.SetLimit`, `buffer_unordered(n)`, or a fixed number of workers.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn send_all(mails: Vec<Mail>) {\n    for mail in mails {\n        tokio::spawn(async move { send(mail).await });\n    }\n}\n",
            good: "async fn send_all(mails: Vec<Mail>) {\n    stream::iter(mails).for_each_concurrent(MAILS_MAX, send).await;\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc sendAll(mails []Mail) {\n\tfor _, mail := range mails {\n\t\tgo send(mail)\n\t}\n}\n",
            good: "package a\n\nfunc sendAll(mails []Mail) error {\n\tvar group errgroup.Group\n\tgroup.SetLimit(8)\n\tfor _, mail := range mails {\n\t\tgroup.Go(func() error { return send(mail) })\n\t}\n\treturn group.Wait()\n}\n",
        },
    ],
};

/// Things of which a program has a handful: starting one task for each is how workers are made.
const FEW: [&str; 24] = [
    "worker", "workers", "server", "servers", "service", "services", "module", "modules", "listener", "listeners", "consumer", "consumers", "shard", "shards", "node", "nodes", "signal", "signals",
    "plugin", "plugins", "component", "components", "partitions", "runners",
];

/// Whether this is the start of a program or a part of it, where one task a configured thing is what it does.
fn starts(node: Node<'_>) -> bool {
    function_of(node).is_some_and(|function| ["start", "init", "boot", "setup", "listen", "serve", "new"].contains(&words(function.field_text("name")).first().map_or("", String::as_str)))
}

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["tokio::spawn", "tokio::task::spawn", "task::spawn"].contains(&call.path)) {
        let Some(around) = loop_of(call.node).filter(|around| is_over_items(*around)) else { continue };
        let Some(body) = body_of(call.node) else { continue };
        let bounded = ["emaphore", "permit", "acquire", "buffer_unordered", "chunks("].iter().any(|word| body.text().contains(word));
        if !bounded && !says(around.field_text("value"), &FEW) && !says(around.field_text("pattern"), &FEW) && !starts(call.node) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for go in source.each("go_statement") {
        let Some(around) = loop_of(go).filter(|around| is_over_items(*around)) else { continue };
        let Some(body) = body_of(go) else { continue };
        let text = body.text();
        let bounded = ["sem", "SetLimit", "limiter", "pool.", "make(chan struct{}", "acquire"].iter().any(|word| text.to_ascii_lowercase().contains(&word.to_ascii_lowercase()));
        let range = around.named().find(|child| child.is("range_clause")).map_or("", Node::text);
        let number = range.trim_start_matches("range").trim().parse::<u32>().is_ok();
        if !bounded && !number && !says(range, &FEW) && !starts(go) {
            found.at(go);
        }
    }
}
