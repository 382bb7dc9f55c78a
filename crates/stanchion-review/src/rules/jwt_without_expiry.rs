use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "jwt-without-expiry",
    title: "A token is made that never expires",
    why: "Once stolen it works for ever; it cannot be taken back.",
    source: "https://cheatsheetseries.owasp.org/cheatsheets/JSON_Web_Token_for_Java_Cheat_Sheet.html",
    mend: "Give it `exp`, minutes rather than days, and a refresh.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "use jsonwebtoken::encode;\n#[derive(Serialize)]\nstruct Claims { sub: String }\nfn make(c: &Claims) -> Result<String, Error> { encode(&HEADER, c, &KEY) }\n",
            good: "use jsonwebtoken::encode;\n#[derive(Serialize)]\nstruct Claims { sub: String, exp: u64 }\nfn make(c: &Claims) -> Result<String, Error> { encode(&HEADER, c, &KEY) }\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc make(id string) *jwt.Token {\n\treturn jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{\"sub\": id})\n}\n",
            good: "package a\n\nfunc make(id string, at time.Time) *jwt.Token {\n\treturn jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{\"sub\": id, \"exp\": at.Unix()})\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    if !source.has("jsonwebtoken") || !source.has("encode(") {
        return;
    }
    for claims in source.each("struct_item").filter(|item| item.field_text("name").ends_with("Claims")) {
        let made = attributes(claims).iter().any(|attribute| has_word(attribute, "Serialize"));
        let text = claims.field_text("body");
        if made && has_word(text, "sub") && !has_word(text, "exp") && !text.contains("flatten") && !text.contains("expir") {
            found.at_maybe(claims, Confidence::Medium);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for claims in source.each("composite_literal").filter(|node| ["jwt.MapClaims", "jwt.RegisteredClaims", "jwt.StandardClaims"].contains(&node.field_text("type"))) {
        let made = claims.ancestors().filter_map(Call::of).any(|call| call.name == "NewWithClaims");
        let expires = claims.text().contains("\"exp\"") || claims.text().contains("ExpiresAt");
        if made && !expires {
            found.at(claims);
        }
    }
}
