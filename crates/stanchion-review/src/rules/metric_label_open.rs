use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "metric-label-open",
    title: "A metric label that callers choose",
    why: "Every new path or user is a new series: memory grows here and in Prometheus until one of them falls.",
    source: "https://prometheus.io/docs/practices/naming/#labels",
    mend: "Label by the route's pattern, a status class, a name of the program's own; put users and paths into traces.",
    point: Point::Monitoring,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn count(req: &Request) {\n    REQUESTS.with_label_values(&[req.uri().path()]).inc();\n}\n",
            good: "fn count(route: &MatchedPath) {\n    REQUESTS.with_label_values(&[route.as_str()]).inc();\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc count(r *http.Request) {\n\trequests.WithLabelValues(r.Method, r.URL.Path).Inc()\n}\n",
            good: "package a\n\nfunc count(r *http.Request, route string) {\n\trequests.WithLabelValues(r.Method, route).Inc()\n}\n",
        },
    ],
};

const PATHS: [&str; 8] = ["uri().path()", "uri.path()", "URL.Path", "URL.String()", "RequestURI", "req.path()", "request.path()", "c.Path()"];
const WHO: [&str; 7] = ["user_id", "email", "username", "customer_id", "session_id", "order_id", "request_id"];

fn open(text: &str) -> Option<Confidence> {
    if PATHS.iter().any(|path| text.contains(path)) && !text.contains("FullPath") {
        return Some(Confidence::High);
    }
    let named = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| says(word, &WHO));
    named.then_some(Confidence::Medium)
}

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["with_label_values", "get_or_create"].contains(&call.name)) {
        if let Some(confidence) = open(call.args_text()) {
            found.at_maybe(call.node, confidence);
        }
    }
    for (node, name, tokens) in macros(source) {
        if ["counter", "histogram", "gauge"].contains(&name) && PATHS.iter().any(|path| tokens.contains(path)) {
            found.at(node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "WithLabelValues" || call.path == "prometheus.Labels") {
        // Echo's Path() is the route's pattern, unlike fiber's.
        let echo = source.has("labstack/echo") && call.args_text().contains("c.Path()");
        if let Some(confidence) = open(call.args_text()).filter(|_| !echo) {
            found.at_maybe(call.node, confidence);
        }
    }
    for labels in source.each("composite_literal").filter(|node| node.field_text("type") == "prometheus.Labels") {
        if let Some(confidence) = open(labels.field_text("body")) {
            found.at_maybe(labels, confidence);
        }
    }
}
