use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cors-wide-open",
    title: "CORS lets every site in",
    why: "Any page that a signed-in user opens may call this service in the user's name.",
    source: "https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS; https://portswigger.net/web-security/cors",
    mend: "Name the origins, from the configuration; `*` is for what everybody may read without being known.",
    point: Point::Cors,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn cors() -> CorsLayer {\n    CorsLayer::very_permissive()\n}\n",
            good: "fn cors(origins: Vec<HeaderValue>) -> CorsLayer {\n    CorsLayer::new().allow_origin(origins)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc open(w http.ResponseWriter) {\n\tw.Header().Set(\"Access-Control-Allow-Origin\", \"*\")\n}\n",
            good: "package a\n\nfunc open(w http.ResponseWriter, origin string) {\n\tw.Header().Set(\"Access-Control-Allow-Origin\", origin)\n}\n",
        },
    ],
};

/// `*` goes without cookies, so that it opens what is private by its network or by nothing.
const READS: &str = "Every site may read what this answers to whoever visits it";

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source) {
        if ["CorsLayer::permissive", "CorsLayer::very_permissive", "Cors::permissive"].contains(&call.path) {
            found.at(call.node);
        } else if call.name == "allow_any_origin" && call.args().is_empty() {
            let asked = call.node.up(&["if_expression"]).is_some_and(|branch| branch.field_text("condition").contains("\"*\""));
            if asked { found.at_asked_for(call.node) } else { found.at_saying(call.node, READS) }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["Set", "Add", "Header"].contains(&call.name)) {
        if call.arg(0).and_then(literal) == Some("Access-Control-Allow-Origin") && call.arg(1).and_then(literal) == Some("*") {
            found.at_saying(call.node, READS);
        }
    }
    for element in source.each("keyed_element") {
        let text: String = element.text().split_whitespace().collect();
        if text == "AllowAllOrigins:true" || text.starts_with("AllowedOrigins:[]string{\"*\"}") || text.starts_with("AllowOrigins:[]string{\"*\"}") {
            found.at_saying(element, READS);
        }
    }
}
