use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "breaker-never-half-opens",
    title: "A circuit breaker without a probe",
    why: "It either stays open for ever or lets everybody through at once when its time is up.",
    source: "https://martinfowler.com/bliki/CircuitBreaker.html",
    mend: "After the pause let one call through and let its outcome decide.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "struct CircuitBreaker { open: bool, failures: u32 }\nimpl CircuitBreaker {\n    fn failed(&mut self) { self.failures += 1; self.open = self.failures > 5; }\n}\n",
            good: "struct CircuitBreaker { state: State, failures: u32 }\nenum State { Closed, Open, HalfOpen }\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\ntype CircuitBreaker struct {\n\topen bool\n\tfailures int\n}\n",
            good: "package a\n\ntype CircuitBreaker struct {\n\tstate State\n\tfailures int\n}\n\nconst HalfOpen State = 2\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    let lower = source.text.to_ascii_lowercase();
    let probes = ["half", "probe", "probation", "trial"].iter().any(|word| lower.contains(word));
    for field in fields(source).iter().filter(|field| !probes && says(field.name, &["failures", "failure_count"])) {
        if let Some(owner) = field.owner.filter(|_| says(field.owner_name(), &["circuit_breaker"]) && lower.contains("open")) {
            found.at(owner);
        }
    }
}
