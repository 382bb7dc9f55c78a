use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "metrics-public",
    title: "Metrics or a profiler are on the port that serves callers",
    why: "Names, counts and latencies of everything inside are there for whoever asks, and each answer costs more than a request.",
    source: "https://prometheus.io/docs/operating/security/ (CWE-497)",
    mend: "Serve them on an admin port of its own, or ask for a token there.",
    point: Point::Security,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn router() -> Router {\n    Router::new().route(\"/api/orders\", post(place)).route(\"/metrics\", get(metrics))\n}\n",
            good: "fn router() -> Router {\n    Router::new().route(\"/api/orders\", post(place))\n}\nfn admin() -> Router {\n    Router::new().route(\"/health\", get(health)).route(\"/metrics\", get(metrics))\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc routes(r *gin.Engine) {\n\tr.POST(\"/orders\", place)\n\tr.GET(\"/metrics\", gin.WrapH(promhttp.Handler()))\n}\n",
            good: "package a\n\nfunc routes(r, admin *gin.Engine) {\n\tr.POST(\"/orders\", place)\n\tadmin.GET(\"/healthz\", ok)\n\tadmin.GET(\"/metrics\", gin.WrapH(promhttp.Handler()))\n}\n",
        },
    ],
};

const OPERATORS: [&str; 3] = ["/metrics", "/debug/pprof", "/debug/vars"];
/// Paths that stand beside them on an operator's port.
const BESIDE: [&str; 16] = ["health", "healthz", "ready", "readyz", "live", "livez", "ping", "version", "metrics", "debug", "startup", "status", "info", "pprof", "admin", "favicon"];
/// Words of somebody who is let in, or of another port.
const KEPT: [&str; 14] = ["auth", "basic_auth", "require", "admin", "token", "internal", "private", "protected", "ops", "operator", "management", "monitoring", "metrics_router", "allowed"];

fn for_operators(path: &str) -> bool {
    OPERATORS.iter().any(|own| path == *own || path.starts_with("/debug/pprof"))
}

fn for_callers(path: &str) -> bool {
    path.starts_with('/') && path.len() > 1 && !says(path, &BESIDE)
}

fn rust(source: &Source, found: &mut Found) {
    let routes: Vec<(Call<'_>, &str)> = calls(source)
        .filter(|call| ["route", "service", "nest"].contains(&call.name))
        .filter_map(|call| Some((call, call.arg(0).and_then(literal)?)))
        .collect();
    for (call, _) in routes.iter().filter(|(_, path)| for_operators(path)) {
        let Some(function) = function_of(call.node) else { continue };
        // One chain of calls is one router: the same statement.
        let statement = call.node.ancestors().take_while(|up| !["block", "let_declaration", "expression_statement"].contains(&up.kind())).last().unwrap_or(call.node);
        let beside = routes.iter().any(|(other, path)| for_callers(path) && (statement.contains(other.node) || other.node == statement));
        let kept = says(function.field_text("name"), &KEPT) || says(call.arg(1).map_or("", Node::text), &KEPT);
        if beside && !kept {
            found.at(call.arg(0).unwrap_or(call.node));
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    let routes: Vec<(Call<'_>, &str)> = calls(source)
        .filter(|call| call.receiver.is_some() && call.args().len() >= 2)
        .filter(|call| ["GET", "POST", "PUT", "PATCH", "DELETE", "Get", "Post", "Put", "Patch", "Delete", "Handle", "HandleFunc", "Mount"].contains(&call.name))
        .filter_map(|call| Some((call, call.arg(0).and_then(literal)?)))
        .collect();
    let profiles = |call: &Call<'_>| ["middleware.Profiler(", "pprof."].iter().any(|word| call.args_text().contains(word));
    for (call, _) in routes.iter().filter(|(call, path)| if call.name == "Mount" { profiles(call) } else { for_operators(path.trim_start_matches("GET ")) }) {
        let function = function_of(call.node);
        let beside = routes.iter().any(|(other, path)| {
            for_callers(path.rsplit(' ').next().unwrap_or("")) && other.receiver_text() == call.receiver_text() && function_of(other.node) == function
        });
        let name = function.map_or("", |function| function.field_text("name"));
        let used = calls(source).any(|other| other.name == "Use" && other.receiver_text() == call.receiver_text() && says(other.args_text(), &KEPT));
        // A function of the program's own may ask before it answers.
        let plain = ["promhttp.", "pprof.", "expvar.", "prometheus", "middleware.Profiler("].iter().any(|word| call.args_text().contains(word));
        let kept = used || !plain || [call.receiver_text(), call.args_text(), name].iter().any(|text| says(text, &KEPT));
        if beside && !kept {
            found.at(call.node);
        }
    }
}
