use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "suppression-without-reason",
    title: "A suppression gives no reason",
    why: "Who reads the code later cannot tell a decision from a shortcut.",
    source: "https://abseil.io/resources/swe-book/html/ch20.html (Software Engineering at Google, chapter 20)",
    mend: "Write why after the colon: `// stanchion:allow(rule): the table is a constant`.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "// stanchion:allow(float-money)\nstruct Line { price: f64 }\n",
            good: "// stanchion:allow(float-money): shown in a chart, never added up\nstruct Line { price: f64 }\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\n// stanchion:allow(float-money)\ntype Line struct{ Price float64 }\n",
            good: "package a\n\n// stanchion:allow(float-money): shown in a chart, never added up\ntype Line struct{ Price float64 }\n",
        },
    ],
};
