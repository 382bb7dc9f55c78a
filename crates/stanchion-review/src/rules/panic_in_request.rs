use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "panic-in-request",
    title: "A handler can panic",
    why: "What a caller sends decides whether the task dies: at best a closed connection, at worst the process.",
    source: "https://doc.rust-lang.org/book/ch09-03-to-panic-or-not-to-panic.html; https://go.dev/wiki/CodeReviewComments#dont-panic",
    mend: "Answer with an error; keep panics for what only a bug can cause, outside request paths.",
    point: Point::Errors,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "use axum::extract::Path;\nasync fn show(Path(id): Path<String>) -> String {\n    let id: u64 = id.parse().unwrap();\n    id.to_string()\n}\n",
            good: "use axum::extract::Path;\nasync fn show(Path(id): Path<String>) -> Result<String, Problem> {\n    let id: u64 = id.parse().map_err(Problem::bad_id)?;\n    Ok(id.to_string())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc show(w http.ResponseWriter, r *http.Request) {\n\tif err := write(w); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n",
            good: "package a\n\nfunc show(w http.ResponseWriter, r *http.Request) {\n\tif err := write(w); err != nil {\n\t\thttp.Error(w, \"failed\", http.StatusInternalServerError)\n\t}\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.receiver.is_some() && ["unwrap", "expect"].contains(&call.name)) {
        let on = call.receiver_text();
        // A poisoned lock is a bug elsewhere; a text of the program's own always parses.
        let own = on.ends_with(".lock()") || on.ends_with(".read()") || on.ends_with(".write()");
        let constant = on.contains("from_static") || on.contains("build()") || on.contains(".body(") || on.ends_with("\".parse()");
        if !own && !constant && function_of(call.node).is_some_and(is_handler) {
            if call.name == "unwrap" { found.at(call.node) } else { found.at_maybe(call.node, Confidence::Medium) }
        }
    }
    for (node, name, _) in macros(source) {
        if ["panic", "todo", "unimplemented"].contains(&name) && function_of(node).is_some_and(is_handler) {
            found.at(node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source) {
        let dies = call.path == "panic" || (call.path.starts_with("log.Fatal") || call.path == "os.Exit");
        let aborts = call.args_text().contains("http.ErrAbortHandler");
        if dies && !aborts && function_of(call.node).is_some_and(is_handler) {
            found.at(call.node);
        }
    }
}
