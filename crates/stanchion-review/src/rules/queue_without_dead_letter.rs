use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "queue-without-dead-letter",
    title: "A queue without a dead-letter exchange",
    why: "A message that cannot be handled is either lost or in the way; nobody can look at it.",
    source: "https://www.rabbitmq.com/docs/dlx",
    mend: "Declare the queue with `x-dead-letter-exchange`, or keep failures in a table, and alarm on what lies there.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::Project(check)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc declare(ch *amqp.Channel) (amqp.Queue, error) {\n\treturn ch.QueueDeclare(\"orders\", true, false, false, false, nil)\n}\n",
        good: "package a\n\nvar args = amqp.Table{\"x-dead-letter-exchange\": \"dead\"}\n\nfunc declare(ch *amqp.Channel) (amqp.Queue, error) {\n\treturn ch.QueueDeclare(\"orders\", true, false, false, false, args)\n}\n",
    }],
};

fn check(project: &Project, found: &mut Found) {
    if project.has_mark(&["x-dead-letter-exchange", "deadletter", "dead_letter", "dead-letter"]) {
        return;
    }
    for mark in ["QueueDeclare(", ".queue_declare("] {
        // An exclusive queue lives as long as its connection and keeps nothing.
        for (facts, line, text) in project.marks(mark.trim_start_matches('.')).filter(|(_, _, text)| text.contains(mark) && !text.contains("func ") && !text.contains("fn ")) {
            if !text.contains("\"\", false") && !text.contains("exclusive") {
                found.at_fact(facts, line, text, RULE.title);
            }
        }
    }
}
