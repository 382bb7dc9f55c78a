use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "begin-cancelled",
    title: "A begin that can be cancelled half-way",
    why: "The statement may be on its way when the future is dropped: the pool gives out a connection that is inside a transaction.",
    source: "https://github.com/launchbadge/sqlx/issues/4385",
    mend: "Bound the wait for a connection by the pool's acquire timeout; let begin itself run to its end.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "async fn save(pool: &PgPool) -> Result<(), Error> {\n    let tx = tokio::time::timeout(LIMIT, pool.begin()).await??;\n    tx.commit().await\n}\n",
        good: "async fn save(pool: &PgPool) -> Result<(), Error> {\n    let tx = pool.begin().await?;\n    tx.commit().await\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "timeout") {
        if let Some(begin) = call.arg(1).and_then(Call::of).filter(|inner| inner.name == "begin" && inner.args().is_empty()) {
            found.at(begin.node);
        }
    }
}
