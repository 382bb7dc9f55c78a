use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "rows-error-unread",
    title: "The error after the last row is never read",
    why: "A connection that breaks half-way looks like the end of the result: half a list is taken for all of it.",
    source: "https://pkg.go.dev/database/sql#Rows.Err",
    mend: "Return `rows.Err()` after the loop.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc names(rows *sql.Rows) (all []string) {\n\tfor rows.Next() {\n\t\tall = append(all, scan(rows))\n\t}\n\treturn all\n}\n",
        good: "package a\n\nfunc names(rows *sql.Rows) (all []string, err error) {\n\tfor rows.Next() {\n\t\tall = append(all, scan(rows))\n\t}\n\treturn all, rows.Err()\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for around in source.each("for_statement") {
        let Some(call) = around.named().find(|child| child.is("call_expression")).and_then(Call::of) else { continue };
        let rows = call.receiver_text();
        if call.name != "Next" || !says(call.receiver_word(), &["rows"]) || !call.args().is_empty() {
            continue;
        }
        let Some(body) = body_of(around) else { continue };
        if !body.text().contains(&format!("{rows}.Err()")) && around.text().contains(".Scan(") | source.has("sql.Rows") | source.has("pgx.Rows") {
            found.at(around);
        }
    }
}
