use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "exit-in-library",
    title: "Code below main ends the process",
    why: "Nothing drains, no deferred close runs, and a test of this code ends the test run.",
    source: "https://github.com/uber-go/guide/blob/master/style.md#exit-in-main",
    mend: "Return the error; let main alone decide the exit code.",
    point: Point::Shutdown,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "pub fn load() -> Config {\n    read().unwrap_or_else(|_| std::process::exit(1))\n}\n",
            good: "pub fn load() -> Result<Config, Error> {\n    read()\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package store\n\nfunc Open() *DB {\n\tdb, err := connect()\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n\treturn db\n}\n",
            good: "package store\n\nfunc Open() (*DB, error) {\n\treturn connect()\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    let program = source.path.ends_with("main.rs") || ["/bin/", "/cli/", "/command/", "/commands/", "/cmd/", "/cmds/"].iter().any(|folder| source.path.contains(folder)) || source.has("fn main()");
    for call in calls(source).filter(|call| !program && ["std::process::exit", "process::exit"].contains(&call.path)) {
        found.at(call.node);
    }
}

fn go(source: &Source, found: &mut Found) {
    let package = source.each("package_clause").next().map_or("", Node::text);
    if package == "package main" {
        return;
    }
    for call in calls(source).filter(|call| call.path.starts_with("log.Fatal") || call.path == "os.Exit") {
        let name = function_of(call.node).map_or("", |function| function.field_text("name"));
        // A command's own package under cmd/ is main by another name; a handler has a rule of its own.
        let command = source.path.starts_with("cmd/") || source.path.contains("/cmd/")
            || source.path.contains("/cli/")
            || source.path.contains("/command/")
            || source.path.contains("/commands/") || name == "Execute" || name.starts_with("Fatal") || name == "init" || name.starts_with("Must");
        if !command && !function_of(call.node).is_some_and(is_handler) {
            found.at(call.node);
        }
    }
}
