use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "compose-privileged",
    title: "A container with the rights of the machine",
    why: "Privileged mode or the Docker socket is root on the machine for whoever is in the container.",
    source: "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
    mend: "Give single capabilities; talk to Docker through a proxy that allows single calls.",
    point: Point::Security,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Compose, compose)],
    examples: &[Example {
        language: Language::Compose,
        bad: "services:\n  app:\n    image: shop:1\n    privileged: true\n",
        good: "services:\n  app:\n    image: shop:1\n    cap_add: [NET_BIND_SERVICE]\n",
    }],
};

fn compose(source: &Source, found: &mut Found) {
    for entry in crate::outline::documents(&source.text).iter().flatten() {
        let socket = entry.item && entry.value.contains("docker.sock:") || entry.key.ends_with("docker.sock");
        if (entry.key == "privileged" && entry.value == "true") || socket {
            found.at_line(entry.line, RULE.title);
        }
    }
}
