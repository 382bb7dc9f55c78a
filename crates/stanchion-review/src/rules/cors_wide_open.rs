use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cors-wide-open",
    title: "CORS lets every site in",
    why: "Any page that a signed-in user opens may call this service in the user's name.",
    source: "https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS; https://portswigger.net/web-security/cors",
    mend: "Name the origins, from the configuration.",
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

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source) {
        if ["CorsLayer::permissive", "CorsLayer::very_permissive", "Cors::permissive"].contains(&call.path) || (call.name == "allow_any_origin" && call.args().is_empty()) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["Set", "Add", "Header"].contains(&call.name)) {
        if call.arg(0).and_then(literal) == Some("Access-Control-Allow-Origin") && call.arg(1).and_then(literal) == Some("*") {
            found.at(call.node);
        }
    }
    for element in source.each("keyed_element") {
        let text: String = element.text().split_whitespace().collect();
        if text == "AllowAllOrigins:true" || text.starts_with("AllowedOrigins:[]string{\"*\"}") || text.starts_with("AllowOrigins:[]string{\"*\"}") {
            found.at(element);
        }
    }
}
