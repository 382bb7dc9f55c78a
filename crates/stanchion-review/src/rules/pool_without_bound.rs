use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "pool-without-bound",
    title: "A database pool without a bound",
    why: "`database/sql` opens as many connections as there are callers; the database refuses all services when its own bound is reached.",
    source: "https://go.dev/doc/database/manage-connections",
    mend: "Call `SetMaxOpenConns`, and `SetConnMaxLifetime` behind a balancer.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::Project(check)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc open(url string) (*sql.DB, error) {\n\treturn sql.Open(\"postgres\", url)\n}\n",
        good: "package a\n\nfunc open(url string) (*sql.DB, error) {\n\tdb, err := sql.Open(\"postgres\", url)\n\tif err == nil {\n\t\tdb.SetMaxOpenConns(20)\n\t}\n\treturn db, err\n}\n",
    }],
};

fn check(project: &Project, found: &mut Found) {
    if project.has_mark(&["SetMaxOpenConns"]) {
        return;
    }
    for mark in ["sql.Open(", "sqlx.Open(", "sqlx.Connect("] {
        for (facts, line, text) in project.marks(mark).filter(|(facts, _, _)| facts.language == Language::Go) {
            if !text.contains("sqlite") {
                found.at_fact(facts, line, text, RULE.title);
            }
        }
    }
}
