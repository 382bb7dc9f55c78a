use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "context-not-passed",
    title: "A call that could take the context does not",
    why: "It waits as long as the other side likes, after the caller has gone and past every deadline.",
    source: "https://go.dev/doc/database/cancel-operations",
    mend: "Use the form with a context: `QueryContext`, `NewRequestWithContext`, `CommandContext`.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nimport \"database/sql\"\n\nfunc (s *Store) Names(ctx context.Context) (*sql.Rows, error) {\n\treturn s.db.Query(\"SELECT name FROM users\")\n}\n",
        good: "package a\n\nimport \"database/sql\"\n\nfunc (s *Store) Names(ctx context.Context) (*sql.Rows, error) {\n\treturn s.db.QueryContext(ctx, \"SELECT name FROM users\")\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    const PLAIN: [&str; 7] = ["http.Get", "http.Post", "http.PostForm", "http.Head", "http.NewRequest", "exec.Command", "net.Dial"];
    let std_sql = source.has("\"database/sql\"") || source.has("jmoiron/sqlx");
    for call in calls(source) {
        let sql = std_sql && ["Query", "Exec", "QueryRow", "Prepare"].contains(&call.name) && ["db", "tx", "DB", "Db", "stmt"].contains(&call.receiver_word());
        if !sql && !PLAIN.contains(&call.path) {
            continue;
        }
        let Some(function) = function_of(call.node) else { continue };
        let in_request = go_parameters(function).iter().any(|(_, kind)| kind.text() == "*http.Request");
        // A request made without one may be given it in the next line.
        let given = function.text().contains(".WithContext(");
        if (go_context(function).is_some() || in_request) && !given {
            found.at(call.node);
        }
    }
}
