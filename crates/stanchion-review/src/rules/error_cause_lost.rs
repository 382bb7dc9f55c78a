use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "error-cause-lost",
    title: "An error is replaced without its cause",
    why: "The log shows that something failed, never what: the one who is woken has to guess.",
    source: "https://go.dev/blog/go1.13-errors; https://docs.rs/thiserror (source)",
    mend: "Keep it: `%w` in Go, `#[source]`, `.context(..)` or a variant that holds it in Rust.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn load(pool: Pool) -> Result<Row, Error> {\n    pool.fetch().await.map_err(|_| Error::Database)\n}\n",
            good: "async fn load(pool: Pool) -> Result<Row, Error> {\n    pool.fetch().await.map_err(Error::Database)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc load() error {\n\tif err := open(); err != nil {\n\t\treturn fmt.Errorf(\"load: %v\", err)\n\t}\n\treturn nil\n}\n",
            good: "package a\n\nfunc load() error {\n\tif err := open(); err != nil {\n\t\treturn fmt.Errorf(\"load: %w\", err)\n\t}\n\treturn nil\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "map_err") {
        let Some(closure) = call.arg(0).filter(|arg| arg.is("closure_expression")) else { continue };
        let ignores = ["|_|", "|_e|", "|_err|", "|_error|"].contains(&closure.field_text("parameters"));
        // Only an await does I/O, whose cause somebody will want; that a text is no number says it all.
        let on = call.receiver_text();
        let says_all = [".acquire", "timeout(", ".recv()", "join"].iter().any(|word| on.contains(word));
        if ignores && on.ends_with(").await") && !says_all {
            found.at(call.node);
        }
    }
}

const TEXT_ONLY: &str = "Of the cause only its text is kept: `errors.Is` and `errors.As` find it no more";

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "fmt.Errorf") {
        let args = call.args();
        let Some(format) = args.first().and_then(|arg| literal(*arg)) else { continue };
        let last_is_error = args.last().is_some_and(|arg| ["err", "e"].contains(&arg.text()) || arg.text() == "err.Error()");
        if args.len() > 1 && last_is_error && !format.contains("%w") {
            found.at_saying(call.node, TEXT_ONLY);
        }
    }
}
