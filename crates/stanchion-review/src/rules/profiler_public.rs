use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "profiler-public",
    title: "The profiler is on the port that serves callers",
    why: "Anybody reads memory and command line, and can hold a core busy by asking for profiles.",
    source: "https://pkg.go.dev/net/http/pprof (CWE-489)",
    mend: "Serve it on an admin port of its own: a mux for callers, another for operators.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::Project(check)],
    examples: &[Example {
        language: Language::Go,
        bad: "package main\n\nimport _ \"net/http/pprof\"\n\nfunc main() {\n\thttp.ListenAndServe(\":8080\", nil)\n}\n",
        good: "package main\n\nfunc main() {\n\tserver := &http.Server{Addr: \":8080\", Handler: mux, ReadHeaderTimeout: time.Second}\n\tserver.ListenAndServe()\n}\n",
    }],
};

/// A blank import puts the profiler on the default mux, which `ListenAndServe(addr, nil)` serves.
fn check(project: &Project, found: &mut Found) {
    for (facts, line, text) in project.marks("net/http/pprof").filter(|(_, _, text)| text.trim_start().trim_start_matches("import").trim_start().starts_with("_ ")) {
        let served = facts.marks.iter().any(|(mark, _, text)| *mark == "http.ListenAndServe(" && text.contains(", nil)") && !text.contains("localhost") && !text.contains("127.0.0.1"));
        if served {
            found.at_fact(facts, line, text, RULE.title);
        }
    }
}
