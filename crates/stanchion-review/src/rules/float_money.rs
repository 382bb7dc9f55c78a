use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "float-money",
    title: "Money in a floating-point number",
    why: "0.1 + 0.2 is not 0.3: sums do not balance and comparisons fail, by amounts that somebody will ask about.",
    source: "Martin Fowler, Patterns of Enterprise Application Architecture: money; https://go.dev/ref/spec#Numeric_types",
    mend: "Whole minor units in an integer, or a decimal type, with the currency beside it.",
    point: Point::Errors,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example { language: Language::Rust, bad: "struct Line {\n    unit_price: f64,\n}\n", good: "struct Line {\n    unit_price: Money,\n    weight: f64,\n}\n" },
        Example {
            language: Language::Go,
            bad: "package a\n\ntype Line struct {\n\tUnitPrice float64 `json:\"unit_price\"`\n}\n",
            good: "package a\n\ntype Line struct {\n\tUnitPriceCents int64\n\tWeight         float64\n}\n",
        },
    ],
};

const MONEY: [&str; 16] = ["price", "prices", "salary", "balance", "subtotal", "discount_amount", "total_amount", "tax_amount", "payment_amount", "refund", "fee", "fees", "money", "invoice_total", "total_price", "price_amount"];
const MAYBE: [&str; 1] = ["amount"];
/// Not money, though it says so.
const OTHER: [&str; 12] = ["ratio", "rate", "percent", "percentage", "weight", "factor", "score", "load", "change", "histogram", "bucket", "power"];

fn check(source: &Source, found: &mut Found) {
    let floats = ["f32", "f64", "float32", "float64", "*float64", "Option<f64>", "Option<f32>"];
    for field in fields(source).iter().filter(|field| floats.contains(&field.kind)) {
        if says(field.name, &OTHER) {
            continue;
        }
        if says(field.name, &MONEY) {
            found.at(field.node);
        } else if says(field.name, &MAYBE) {
            found.at_maybe(field.node, Confidence::Medium);
        }
    }
}
