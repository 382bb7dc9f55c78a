use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "container-as-root",
    title: "The container runs as root",
    why: "Who breaks out of the process is root in the container, one kernel fault away from the machine.",
    source: "https://docs.docker.com/build/building/best-practices/#user",
    mend: "Add a user and `USER 10001` in the last stage, or build on an image that is not root.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Docker, docker)],
    examples: &[Example {
        language: Language::Docker,
        bad: "FROM rust:1.95 AS build\nRUN cargo build --release\nFROM debian:bookworm-slim\nCOPY --from=build /app /app\nENTRYPOINT [\"/app\"]\n",
        good: "FROM rust:1.95 AS build\nRUN cargo build --release\nFROM debian:bookworm-slim\nCOPY --from=build /app /app\nUSER 10001\nENTRYPOINT [\"/app\"]\n",
    }],
};

fn docker(source: &Source, found: &mut Found) {
    // Whoever starts as root to own a volume and then steps down does not run as root.
    let steps_down = ["gosu", "su-exec", "setpriv", "s6-setuidgid", "chpst"].iter().any(|tool| source.text.contains(tool));
    // Images that build packages or watch sources are not what runs.
    let for_building = ["NODE_ENV development", "NODE_ENV=development", "reflex", "dh-make", "debhelper", "rpmbuild", "rpm-build", "-emulator"].iter().any(|word| source.text.contains(word)) || source.path.contains("emulator");
    let (mut from, mut user, mut starts) = (0, None, false);
    let mut image = String::new();
    let mut users: std::collections::BTreeMap<String, Option<String>> = std::collections::BTreeMap::new();
    let mut stage = String::new();
    for number in 1..=source.line_count() {
        let line = source.line(number).trim();
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("FROM") => {
                users.insert(std::mem::take(&mut stage), user.take());
                let rest: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
                image = rest.first().copied().unwrap_or("").to_owned();
                stage = rest.get(2).copied().unwrap_or("").to_owned();
                // A stage upon a stage keeps its user.
                user = users.get(&image).cloned().flatten();
                from = number;
                starts = false;
            }
            Some("USER") => user = words.next().map(str::to_owned),
            Some("CMD" | "ENTRYPOINT") => starts = true,
            _ => {}
        }
    }
    let other = image.contains("nonroot") || image.contains("chainguard") || image.contains("unprivileged") || image.contains("devcontainer");
    let root = user.as_deref().map(|user| user.split(':').next().unwrap_or("")).is_none_or(|user| ["root", "0"].contains(&user));
    if from > 0 && root && starts && !other && !steps_down && !for_building {
        found.at_line(from, RULE.title);
    }
}
