use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "liveness-asks-dependencies",
    title: "Liveness asks a dependency",
    why: "When the database is away every instance is restarted at once, and comes back cold in the middle of it.",
    source: "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/; https://blog.colinbreck.com/kubernetes-liveness-and-readiness-probes-how-to-avoid-shooting-yourself-in-the-foot/",
    mend: "Liveness answers whether this process is stuck; dependencies belong to readiness.",
    point: Point::Health,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn liveness(State(pool): State<PgPool>) -> StatusCode {\n    match sqlx::query(\"SELECT 1\").execute(&pool).await {\n        Ok(_) => StatusCode::OK,\n        Err(_) => StatusCode::SERVICE_UNAVAILABLE,\n    }\n}\n",
            good: "async fn liveness() -> StatusCode {\n    StatusCode::OK\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (s *Server) Livez(w http.ResponseWriter, r *http.Request) {\n\tif err := s.db.PingContext(r.Context()); err != nil {\n\t\tw.WriteHeader(503)\n\t}\n}\n",
            good: "package a\n\nfunc (s *Server) Livez(w http.ResponseWriter, r *http.Request) {\n\tw.WriteHeader(200)\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    for function in functions(source).filter(|function| says(function.field_text("name"), &["live", "livez", "liveness", "alive", "is_alive"])) {
        let body = function.field_text("body");
        let asks = calls_in(function).find(|call| ["PingContext", "Ping", "ping"].contains(&call.name)).map(|call| call.node);
        let select = function.below().find(|node| literal(*node).is_some_and(|text| text.trim().eq_ignore_ascii_case("select 1")));
        if let Some(node) = asks.or(select).filter(|_| !body.contains("keepalive")) {
            found.at(node);
        }
    }
}
