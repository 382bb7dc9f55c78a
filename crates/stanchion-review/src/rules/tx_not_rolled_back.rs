use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "tx-not-rolled-back",
    title: "A transaction that an error leaves open",
    why: "It keeps its connection and its row locks until the server gives up.",
    source: "https://go.dev/doc/database/execute-transactions",
    mend: "`defer tx.Rollback()` right after begin; after a commit it does nothing.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc move(ctx context.Context, db *sql.DB) error {\n\ttx, err := db.BeginTx(ctx, nil)\n\tif err != nil {\n\t\treturn err\n\t}\n\tif _, err := tx.ExecContext(ctx, take); err != nil {\n\t\treturn err\n\t}\n\treturn tx.Commit()\n}\n",
        good: "package a\n\nfunc move(ctx context.Context, db *sql.DB) error {\n\ttx, err := db.BeginTx(ctx, nil)\n\tif err != nil {\n\t\treturn err\n\t}\n\tdefer tx.Rollback()\n\tif _, err := tx.ExecContext(ctx, take); err != nil {\n\t\treturn err\n\t}\n\treturn tx.Commit()\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["Begin", "BeginTx", "Beginx", "BeginTxx"].contains(&call.name) && call.receiver.is_some()) {
        let (Some((_, names)), Some(body)) = (binding(call.node), body_of(call.node)) else { continue };
        // A store with one writer says so by a flag and ends with its file; databases take options or nothing.
        let flag = ["(true)", "(false)"].contains(&call.args_text());
        let name = names[0];
        let ended = body.text().contains(&format!("{name}.Rollback")) || !body.text().contains(&format!("{name}.Commit"));
        let steps = body.text().matches("return ").count() > 2;
        if names.len() == 2 && !ended && !flag && steps {
            found.at(call.node);
        }
    }
}
