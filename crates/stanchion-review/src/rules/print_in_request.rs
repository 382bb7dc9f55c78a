use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "print-in-request",
    title: "A handler prints instead of logging",
    why: "The line has no time, level or request id, and nothing can be found by it.",
    source: "https://12factor.net/logs; https://docs.rs/tracing",
    mend: "Use the structured logger, with the request's context.",
    point: Point::Logs,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "use axum::extract::State;\nasync fn list(State(db): State<Db>) -> String {\n    println!(\"list\");\n    db.list().await\n}\n",
            good: "use axum::extract::State;\nasync fn list(State(db): State<Db>) -> String {\n    tracing::debug!(\"list\");\n    db.list().await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc list(w http.ResponseWriter, r *http.Request) {\n\tfmt.Println(\"list\")\n}\n",
            good: "package a\n\nfunc list(w http.ResponseWriter, r *http.Request) {\n\tslog.InfoContext(r.Context(), \"list\")\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for (node, name, _) in macros(source) {
        if ["println", "eprintln", "print", "dbg"].contains(&name) && function_of(node).is_some_and(is_handler) {
            found.at(node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["fmt.Println", "fmt.Printf", "fmt.Print", "println"].contains(&call.path)) {
        if function_of(call.node).is_some_and(is_handler) {
            found.at(call.node);
        }
    }
}
