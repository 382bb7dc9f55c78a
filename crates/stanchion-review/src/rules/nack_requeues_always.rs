use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "nack-requeues-always",
    title: "A message that fails is put back at once, for ever",
    why: "One message that can never be handled turns in the queue and takes all the time of the others.",
    source: "https://www.rabbitmq.com/docs/nack; https://www.rabbitmq.com/docs/dlx",
    mend: "Count its attempts, delay them, and after the last put it into a dead-letter queue.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go), Check::File(Language::Rust, rust)],
    examples: &[
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc consume(d amqp.Delivery) {\n\tif err := handle(d); err != nil {\n\t\td.Nack(false, true)\n\t}\n}\n",
            good: "package a\n\nfunc consume(d amqp.Delivery) {\n\tif err := handle(d); err != nil {\n\t\td.Nack(false, !d.Redelivered)\n\t}\n}\n",
        },
        Example {
            language: Language::Rust,
            bad: "async fn back(d: Delivery) -> Result<(), Error> {\n    d.nack(BasicNackOptions { requeue: true, ..Default::default() }).await\n}\n",
            good: "async fn back(d: Delivery) -> Result<(), Error> {\n    d.nack(BasicNackOptions { requeue: false, ..Default::default() }).await\n}\n",
        },
    ],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "Nack" && call.args().len() == 2) {
        if call.arg(1).is_some_and(|arg| arg.text() == "true") && !counts(source) {
            found.at(call.node);
        }
    }
}

fn rust(source: &Source, found: &mut Found) {
    for field in source.each("field_initializer").filter(|field| field.text().replace(' ', "") == "requeue:true") {
        let nack = field.up(&["struct_expression"]).is_some_and(|literal| literal.field_text("name").ends_with("BasicNackOptions"));
        if nack && !counts(source) {
            found.at(field);
        }
    }
}

fn counts(source: &Source) -> bool {
    source.has_any(&["x-death", "Redelivered", "redelivered", "attempt", "x-delivery-limit", "dead_letter", "deadLetter"])
}
