use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "suppression-unused",
    title: "A suppression suppresses nothing",
    why: "The code was mended or the rule's name is misspelt; either way it hides the next finding here.",
    source: "https://abseil.io/resources/swe-book/html/ch20.html (Software Engineering at Google, chapter 20)",
    mend: "Remove it, or correct the rule's name.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[],
    examples: &[Example {
        language: Language::Rust,
        bad: "// stanchion:allow(float-money): shown in a chart, never added up\nstruct Line { price: i64 }\n",
        good: "struct Line { price: i64 }\n",
    }],
};
