use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "paging-without-cap",
    title: "Pages by offset whose size the caller chooses",
    why: "One caller asks for a million rows, or for the page at offset a million, which reads all before it.",
    source: "https://use-the-index-luke.com/no-offset",
    mend: "Clamp the limit; page by the last key seen instead of an offset.",
    point: Point::Resources,
    severity: Severity::Low,
    confidence: Confidence::Low,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn page(db: &Db, limit: i64, offset: i64) -> Rows {\n    db.all(\"select id from orders order by id limit $1 offset $2\", limit, offset).await\n}\n",
            good: "async fn page(db: &Db, limit: i64, offset: i64) -> Rows {\n    db.all(\"select id from orders order by id limit $1 offset $2\", limit.min(100), offset).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc page(limit, offset int) {\n\trun(\"SELECT id FROM orders LIMIT $1 OFFSET $2\", limit, offset)\n}\n",
            good: "package a\n\nfunc page(limit, offset int) {\n\trun(\"SELECT id FROM orders LIMIT $1 OFFSET $2\", min(limit, 100), offset)\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    for (node, text) in literals(source) {
        let lower = text.to_ascii_lowercase();
        let paged = is_sql(text) && ["offset $", "offset ?", "offset :", "offset %d", "offset {"].iter().any(|hole| lower.contains(hole));
        let Some(function) = function_of(node).filter(|_| paged) else { continue };
        let capped = ["min(", "clamp(", "max", "MAX", "Max"].iter().any(|word| function.text().contains(word));
        if !capped && !source.has_any(&["MAX_LIMIT", "maxLimit", "MaxLimit", "PAGE_SIZE", "clamp("]) {
            found.at(node);
        }
    }
}
