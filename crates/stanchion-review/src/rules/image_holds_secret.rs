use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "image-holds-secret",
    title: "A secret is part of the image",
    why: "Every layer can be read by whoever can pull it, also when a later layer removes it.",
    source: "https://docs.docker.com/build/building/secrets/",
    mend: "`RUN --mount=type=secret` at build, the environment or a mounted file at run time.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Docker, docker)],
    examples: &[Example {
        language: Language::Docker,
        bad: "FROM alpine:3.22\nENV DB_PASSWORD=correcthorse\nUSER 1\n",
        good: "FROM alpine:3.22\nENV DB_PASSWORD_FILE=/run/secrets/db\nARG NPM_TOKEN\nUSER 1\n",
    }],
};

fn docker(source: &Source, found: &mut Found) {
    for number in 1..=source.line_count() {
        let line = source.line(number).trim();
        let Some(rest) = line.strip_prefix("ENV ").or_else(|| line.strip_prefix("ARG ")) else { continue };
        let Some((name, value)) = rest.split_once(['=', ' ']) else { continue };
        let secret = says(name, &["password", "secret", "api_key", "private_key", "secret_key", "access_key"]) && !says(name, &["file", "path", "id", "name", "url"]);
        let value = value.trim().trim_matches(['"', '\'']);
        if secret && value.len() >= 4 && !value.starts_with('$') && !["changeme", "none", "false", "true"].contains(&value) {
            found.at_line(number, RULE.title);
        }
    }
}
