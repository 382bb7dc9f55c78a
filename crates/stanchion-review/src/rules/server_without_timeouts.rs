use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "server-without-timeouts",
    title: "An HTTP server without header timeout",
    why: "Slow clients that never finish their headers hold connections until there are none left (Slowloris).",
    source: "https://pkg.go.dev/net/http#Server; https://blog.cloudflare.com/the-complete-guide-to-golang-net-http-timeouts/",
    mend: "Use `http.Server` with `ReadHeaderTimeout`, and `ReadTimeout`, `WriteTimeout`, `IdleTimeout` where they fit.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc main() {\n\thttp.ListenAndServe(\":8080\", routes())\n}\n",
        good: "package a\n\nvar server = &http.Server{Addr: \":8080\", Handler: routes(), ReadHeaderTimeout: 5 * time.Second}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["http.ListenAndServe", "http.ListenAndServeTLS", "http.Serve"].contains(&call.path)) {
        found.at(call.node);
    }
    for literal in source.each("composite_literal").filter(|node| node.field_text("type") == "http.Server") {
        let timed = keys(literal).iter().any(|(key, _)| ["ReadHeaderTimeout", "ReadTimeout"].contains(key));
        let later = source.has(".ReadHeaderTimeout =") || source.has(".ReadTimeout =");
        if !timed && !later {
            found.at(literal);
        }
    }
}
