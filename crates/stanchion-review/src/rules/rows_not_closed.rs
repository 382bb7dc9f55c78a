use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "rows-not-closed",
    title: "Rows are never closed",
    why: "An early return keeps the connection out of the pool for good; a few and nobody gets one.",
    source: "https://go.dev/doc/database/querying#multiple_rows",
    mend: "`defer rows.Close()` after the error check.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc names(ctx context.Context, db *sql.DB) error {\n\trows, err := db.QueryContext(ctx, \"SELECT name FROM users\")\n\tif err != nil {\n\t\treturn err\n\t}\n\tfor rows.Next() {\n\t\tif err := rows.Scan(&name); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn rows.Err()\n}\n",
        good: "package a\n\nfunc names(ctx context.Context, db *sql.DB) error {\n\trows, err := db.QueryContext(ctx, \"SELECT name FROM users\")\n\tif err != nil {\n\t\treturn err\n\t}\n\tdefer rows.Close()\n\tfor rows.Next() {\n\t\tif err := rows.Scan(&name); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn rows.Err()\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["Query", "QueryContext", "Queryx", "QueryxContext"].contains(&call.name) && call.receiver.is_some()) {
        let (Some((_, names)), Some(body)) = (binding(call.node), body_of(call.node)) else { continue };
        let name = names[0];
        let iterated = body.text().contains(&format!("{name}.Next()"));
        let closed = body.text().contains(&format!("{name}.Close()")) || escapes(body, name, call.node.end());
        if names.len() == 2 && name != "_" && iterated && !closed {
            found.at(call.node);
        }
    }
}
