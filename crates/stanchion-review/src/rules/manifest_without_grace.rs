use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "manifest-without-grace",
    title: "A deployment that does not say how long it may take to stop",
    why: "The default of 30 seconds is a guess: shorter than the drain it cuts requests off, longer it holds up every release.",
    source: "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
    mend: "Set `terminationGracePeriodSeconds` above the service's own drain time.",
    point: Point::Shutdown,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Kubernetes, manifest)],
    examples: &[Example {
        language: Language::Kubernetes,
        bad: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop:1\n          resources:\n            limits: { memory: 128Mi }\n",
        good: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      terminationGracePeriodSeconds: 45\n      containers:\n        - name: app\n          image: shop:1\n          resources:\n            limits: { memory: 128Mi }\n",
    }],
};

fn manifest(source: &Source, found: &mut Found) {
    for document in crate::outline::documents(&source.text) {
        let said = document.iter().any(|entry| entry.key == "terminationGracePeriodSeconds");
        if let Some(container) = super::manifest_without_probes::containers(&document).first().filter(|_| !said) {
            found.at_line(container[0].line, RULE.title);
        }
    }
}
