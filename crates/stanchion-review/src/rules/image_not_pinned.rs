use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "image-not-pinned",
    title: "An image without a fixed version",
    why: "The same commit builds or runs something else tomorrow, and nobody can go back.",
    source: "https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",
    mend: "Name a version, better a digest.",
    point: Point::Configuration,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Docker, docker), Check::File(Language::Kubernetes, manifest)],
    examples: &[
        Example { language: Language::Docker, bad: "FROM alpine:latest\nUSER 1\nCMD [\"sh\"]\n", good: "FROM alpine:3.22\nUSER 1\nCMD [\"sh\"]\n" },
        Example {
            language: Language::Kubernetes,
            bad: "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: app\n      image: shop/app:latest\n",
            good: "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: app\n      image: shop/app:1.4.2\n",
        },
    ],
};

fn open(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or("");
    let fixed = image.contains('@') || image.contains('$') || image.contains("{{");
    !fixed && !image.is_empty() && (name.ends_with(":latest") || !name.contains(':'))
}

fn docker(source: &Source, found: &mut Found) {
    let mut stages: Vec<String> = vec!["scratch".to_owned()];
    for number in 1..=source.line_count() {
        let words: Vec<&str> = source.line(number).split_whitespace().filter(|word| !word.starts_with("--")).collect();
        if words.first().is_none_or(|word| !word.eq_ignore_ascii_case("FROM")) {
            continue;
        }
        let image = words.get(1).copied().unwrap_or("");
        if open(image) && !stages.iter().any(|stage| stage == image) {
            found.at_line(number, &format!("`{}` has no fixed version", crate::found::printable(image)));
        }
        stages.extend(words.get(3).map(|name| (*name).to_owned()));
    }
}

fn manifest(source: &Source, found: &mut Found) {
    for entry in crate::outline::documents(&source.text).iter().flatten() {
        if entry.key == "image" && open(entry.value.trim_matches(['"', '\''])) {
            found.at_line(entry.line, RULE.title);
        }
    }
}
