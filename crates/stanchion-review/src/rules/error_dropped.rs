use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "error-dropped",
    title: "The error of something that must not fail quietly is dropped",
    why: "The caller goes on as if it had worked: with an empty value, with rows that were never written.",
    source: "https://go.dev/wiki/CodeReviewComments#handle-errors; Rust API guidelines, must_use",
    mend: "Return the error or handle it where it happens.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn save(tx: Transaction) {\n    let _ = tx.commit().await;\n}\n",
            good: "async fn save(tx: Transaction) -> Result<(), Error> {\n    tx.commit().await?;\n    Ok(())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc read(r *http.Request) Order {\n\tvar order Order\n\tbody, _ := io.ReadAll(r.Body)\n\t_ = json.Unmarshal(body, &order)\n\treturn order\n}\n",
            good: "package a\n\nfunc read(r *http.Request) (order Order, err error) {\n\terr = json.NewDecoder(r.Body).Decode(&order)\n\treturn order, err\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    let must = ["commit", "fetch_one", "fetch_all", "write_all", "sync_all", "persist", "save_all"];
    for call in calls(source).filter(|call| call.receiver.is_some() && must.contains(&call.name)) {
        let Some((statement, names)) = binding(call.node) else { continue };
        let value = statement.field("value").map_or("", Node::text);
        // Nobody is left to tell that the terminal went away.
        let terminal = call.receiver_text().contains("stderr()") || call.receiver_text().contains("stdout()");
        if !terminal && statement.is("let_declaration") && names == ["_"] && same_body(statement, call.node) && value.starts_with(call.node.text()) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    // Marshalling what the program made can hardly fail; these can whenever their input says so.
    const MUST: [&str; 6] =
        ["json.Unmarshal", "xml.Unmarshal", "io.ReadAll", "ioutil.ReadAll", "proto.Unmarshal", "yaml.Unmarshal"];
    for call in calls(source) {
        let written = ["Exec", "ExecContext", "Commit"].contains(&call.name) && says(call.receiver_word(), &["db", "tx", "conn", "pool"]);
        let undoes = call.args_text().to_ascii_uppercase().contains("ROLLBACK");
        if (MUST.contains(&call.path) || written && !undoes)
            && let Some((_, names)) = binding(call.node)
            && names.last() == Some(&"_")
        {
            found.at(call.node);
        }
    }
}
