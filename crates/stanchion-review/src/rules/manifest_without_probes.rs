use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "manifest-without-probes",
    title: "A deployment without readiness probe",
    why: "Traffic comes before the service can answer, and keeps coming when it no longer can.",
    source: "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
    mend: "Add a `readinessProbe`; a `livenessProbe` that asks only the process itself.",
    point: Point::Health,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Kubernetes, manifest)],
    examples: &[Example {
        language: Language::Kubernetes,
        bad: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n          ports:\n            - containerPort: 8080\n",
        good: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n          ports:\n            - containerPort: 8080\n          readinessProbe:\n            httpGet: { path: /readyz, port: 8080 }\n          resources:\n            limits: { memory: 128Mi }\n",
    }],
};

fn manifest(source: &Source, found: &mut Found) {
    for document in crate::outline::documents(&source.text) {
        for container in containers(&document) {
            let serves = container.iter().any(|entry| entry.key == "ports");
            let probed = container.iter().any(|entry| entry.key == "readinessProbe" || entry.key.is_empty() && entry.value.contains("robe"));
            if serves && !probed {
                found.at_line(container[0].line, RULE.title);
            }
        }
    }
}

/// Containers of a long-running workload; a list that a template fills is nobody's to judge.
pub(super) fn containers(document: &[crate::outline::Entry]) -> Vec<&[crate::outline::Entry]> {
    let kind = crate::outline::top(document, "kind").map_or("", |entry| entry.value.as_str());
    if !["Deployment", "StatefulSet", "DaemonSet"].contains(&kind) {
        return Vec::new();
    }
    let Some(at) = document.iter().position(|entry| entry.key == "containers") else { return Vec::new() };
    let parent = &document[at];
    // A list may stand at the depth of its key; its items' keys are deeper by the dash.
    let count = document[at + 1..].iter().take_while(|entry| entry.indent > parent.indent).count();
    crate::outline::items(&document[at + 1..at + 1 + count])
}
