use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "body-without-limit",
    title: "A request body is read without a limit",
    why: "One request can take all memory.",
    source: "https://pkg.go.dev/net/http#MaxBytesReader; https://docs.rs/axum/latest/axum/extract/struct.DefaultBodyLimit.html",
    mend: "`http.MaxBytesReader`, or the framework's body limit with a number.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn read(body: Body) -> Result<Bytes, Error> {\n    axum::body::to_bytes(body, usize::MAX).await\n}\n",
            good: "async fn read(body: Body) -> Result<Bytes, Error> {\n    axum::body::to_bytes(body, BODY_BYTES_MAX).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc put(w http.ResponseWriter, r *http.Request) {\n\tbody, err := io.ReadAll(r.Body)\n\tkeep(w, body, err)\n}\n",
            good: "package a\n\nfunc put(w http.ResponseWriter, r *http.Request) {\n\tbody, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))\n\tkeep(w, body, err)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source) {
        let whole = call.name == "to_bytes" && call.args_text().contains("usize::MAX") && !call.args_text().contains("esponse");
        let off = call.path == "DefaultBodyLimit::disable" && !source.has("RequestBodyLimitLayer");
        if whole || off {
            if off { found.at_maybe(call.node, Confidence::Medium) } else { found.at(call.node) }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["io.ReadAll", "ioutil.ReadAll"].contains(&call.path)) {
        let Some(function) = function_of(call.node) else { continue };
        let request = call.arg(0).is_some_and(|arg| ["r.Body", "req.Body", "request.Body", "c.Request.Body", "c.Request().Body"].contains(&arg.text()));
        let limited = function.text().contains("MaxBytesReader") || function.text().contains("LimitReader") || source.has("MaxBytesReader");
        if request && !limited && is_handler(function) {
            found.at(call.node);
        }
    }
}
