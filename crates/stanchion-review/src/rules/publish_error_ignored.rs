use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "publish-error-ignored",
    title: "The answer of a publish is thrown away",
    why: "A broker that is away loses the message and nobody knows: the two sides differ from then on.",
    source: "https://microservices.io/patterns/data/transactional-outbox.html",
    mend: "Handle the error, better: write the message to an outbox in the same transaction and let a relay publish it.",
    point: Point::Errors,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn placed(bus: Bus, order: Order) {\n    let _ = bus.publish(order.placed()).await;\n}\n",
            good: "async fn placed(bus: Bus, order: Order) -> Result<(), Error> {\n    bus.publish(order.placed()).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc placed(bus Bus, o Order) {\n\t_ = bus.Publish(o.Topic(), o.Placed())\n}\n",
            good: "package a\n\nfunc placed(bus Bus, o Order) error {\n\treturn bus.Publish(o.Topic(), o.Placed())\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.receiver.is_some() && ["publish", "basic_publish", "publish_with_headers"].contains(&call.name)) {
        let Some((statement, names)) = binding(call.node) else { continue };
        let whole = statement.field("value").is_some_and(|value| value.text().trim_end_matches(".await").trim_end_matches(".ok()").ends_with(')'));
        if statement.is("let_declaration") && names == ["_"] && whole && same_body(statement, call.node) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.receiver.is_some() && call.name.starts_with("Publish")) {
        if let Some((_, names)) = binding(call.node)
            && names.last() == Some(&"_")
        {
            found.at(call.node);
        }
    }
}
