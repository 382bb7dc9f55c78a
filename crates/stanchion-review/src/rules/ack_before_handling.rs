use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "ack-before-handling",
    title: "A message is acknowledged before it is handled",
    why: "A crash in between loses it: the broker was told that all is well.",
    source: "https://www.rabbitmq.com/docs/confirms#consumer-acknowledgements",
    mend: "Acknowledge after the effect is committed; handle the same message twice without harm.",
    point: Point::Errors,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn options() -> BasicConsumeOptions {\n    BasicConsumeOptions { no_ack: true, ..Default::default() }\n}\n",
            good: "fn options() -> BasicConsumeOptions {\n    BasicConsumeOptions { no_ack: false, ..Default::default() }\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc consume(d amqp.Delivery) {\n\td.Ack(false)\n\thandle(d.Body)\n}\n",
            good: "package a\n\nfunc consume(d amqp.Delivery) {\n\tif handle(d.Body) == nil {\n\t\td.Ack(false)\n\t}\n}\n",
        },
    ],
};

const HANDLES: [&str; 6] = ["handle", "process", "consume", "dispatch", "execute", "on_message"];

fn rust(source: &Source, found: &mut Found) {
    for field in source.each("field_initializer").filter(|field| field.text().replace(' ', "") == "no_ack:true") {
        found.at(field);
    }
    early(source, "ack", found);
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "Consume" && call.args().len() == 7) {
        if let Some(auto) = call.arg(2).filter(|arg| arg.text() == "true") {
            found.at_saying(auto, "The broker forgets each message when it is sent (autoAck)");
        }
    }
    early(source, "Ack", found);
}

/// An ack as a statement of its own, before the handling in the same block.
fn early(source: &Source, name: &str, found: &mut Found) {
    for ack in calls(source).filter(|call| call.name == name && call.receiver.is_some()) {
        let statement = std::iter::once(ack.node).chain(ack.node.ancestors()).take(5).find(|node| node.parent().is_some_and(|up| ["block", "statement_list"].contains(&up.kind())));
        let Some(statement) = statement.filter(|statement| statement.start() + 40 > ack.node.start()) else { continue };
        let message = ack.receiver_text().split('.').next().unwrap_or("");
        let handled = statement.later_siblings().flat_map(|later| calls_in(later).chain(Call::of(later))).find(|call| {
            HANDLES.iter().any(|word| says(call.name, &[word])) && has_word(call.args_text(), message)
        });
        if handled.is_some() && !message.is_empty() {
            found.at(ack.node);
        }
    }
}
