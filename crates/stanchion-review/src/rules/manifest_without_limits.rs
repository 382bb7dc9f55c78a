use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "manifest-without-limits",
    title: "A container without a memory limit",
    why: "One leak takes its neighbours with it; which one the kernel ends is chance.",
    source: "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
    mend: "Set `resources.requests` and `resources.limits.memory` from measured figures.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Kubernetes, manifest)],
    examples: &[Example {
        language: Language::Kubernetes,
        bad: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n",
        good: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n          resources:\n            requests: { cpu: 100m, memory: 64Mi }\n            limits: { memory: 128Mi }\n",
    }, Example {
        language: Language::Kubernetes,
        bad: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n          resources: {}\n",
        good: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      initContainers:\n        - name: migrate\n          image: shop:1\n          resources: &resources\n            limits: { memory: 128Mi }\n      containers:\n        - name: app\n          image: shop:1\n          resources: *resources\n",
    }],
};

fn manifest(source: &Source, found: &mut Found) {
    for document in crate::outline::documents(&source.text) {
        for container in super::manifest_without_probes::containers(&document) {
            let limited = container.iter().any(|entry| entry.key == "limits");
            // A template or an alias of YAML says it elsewhere.
            let elsewhere = |value: &str| value.contains("{{") || value.starts_with('*');
            let mut said = container.iter().filter(|entry| entry.key == "resources");
            let templated =
                said.any(|entry| elsewhere(&entry.value)) || source.text.contains("toYaml");
            if !limited && !templated {
                found.at_line(container[0].line, RULE.title);
            }
        }
    }
}
