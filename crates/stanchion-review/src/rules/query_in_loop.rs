use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "query-in-loop",
    title: "A query for each element of a list",
    why: "A list of a hundred costs a hundred round trips; the page gets slower with its own success.",
    source: "Martin Fowler, Patterns of Enterprise Application Architecture: lazy load (ripple loading)",
    mend: "One query for all: `= any($1)`, `IN`, a join, a batch.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn names(pool: &PgPool, ids: &[i64]) -> Result<Vec<Row>, Error> {\n    let mut all = Vec::new();\n    for id in ids {\n        all.push(query(ONE).bind(id).fetch_one(pool).await?);\n    }\n    Ok(all)\n}\n",
            good: "async fn names(pool: &PgPool, ids: &[i64]) -> Result<Vec<Row>, Error> {\n    query(ALL).bind(ids).fetch_all(pool).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc names(ctx context.Context, db *sql.DB, ids []int) {\n\tfor _, id := range ids {\n\t\tdb.QueryRowContext(ctx, one, id).Scan(&name)\n\t}\n}\n",
            good: "package a\n\nfunc names(ctx context.Context, db *sql.DB, ids []int) *sql.Row {\n\treturn db.QueryRowContext(ctx, all, ids)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    let reads = ["fetch_one", "fetch_all", "fetch_optional", "query_one", "query_opt", "query_row", "find_by_id"];
    for call in calls(source).filter(|call| reads.contains(&call.name) && call.receiver.is_some()) {
        let awaited = call.node.parent().is_some_and(|parent| parent.is("await_expression"));
        let migrating = source.path.contains("migrat") || source.path.contains("seed");
        if awaited && !migrating && loop_of(call.node).is_some_and(is_over_items) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    let reads = ["Query", "QueryContext", "QueryRow", "QueryRowContext", "Queryx", "Get", "GetContext", "Select", "SelectContext"];
    for call in calls(source).filter(|call| reads.contains(&call.name) && ["db", "tx", "DB", "Db", "conn", "pool", "Pool"].contains(&call.receiver_word())) {
        let sql = call.name.starts_with("Query") || source.has("sqlx");
        let migrating = source.path.contains("migrat") || source.path.contains("seed");
        if sql && !migrating && loop_of(call.node).is_some_and(is_over_items) {
            found.at(call.node);
        }
    }
}
