use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "handler-holds-sql",
    title: "A handler holds SQL",
    why: "The rule, the transport and the table are one function: none of them can be tested or changed alone.",
    source: "Martin Fowler, PresentationDomainDataLayering",
    mend: "Move the statement behind a repository or query function; leave the handler to translate.",
    point: Point::Separation,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: r#"
use axum::extract::State;
async fn list(State(pool): State<PgPool>) -> Json<Vec<Order>> {
    Json(sqlx::query_as("select id from orders limit 10").fetch_all(&pool).await.unwrap_or_default())
}
"#,
            good: r#"
use axum::extract::State;
async fn list(State(orders): State<Orders>) -> Result<Json<Vec<Order>>, Problem> {
    Ok(Json(orders.first(10).await?))
}
"#,
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc (s *server) list(w http.ResponseWriter, r *http.Request) {\n\trows := s.find(r.Context(), \"SELECT id FROM orders LIMIT 10\")\n\twrite(w, rows)\n}\n",
            good: "package a\n\nfunc (s *server) list(w http.ResponseWriter, r *http.Request) {\n\twrite(w, s.orders.First(r.Context(), 10))\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    for (node, _) in literals(source).filter(|(_, text)| is_sql(text)) {
        if function_of(node).is_some_and(is_handler) {
            found.at(node);
        }
    }
}
