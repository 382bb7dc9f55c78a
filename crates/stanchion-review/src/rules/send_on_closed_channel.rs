use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "send-on-closed-channel",
    title: "A stop closes a channel that others still send to",
    why: "A send on a closed channel panics: the last request before the stop ends the process.",
    source: "https://go.dev/ref/spec#Close; https://go.dev/ref/spec#Send_statements",
    mend: "Let the only sender close it; tell many senders to stop by a second channel or a context.",
    point: Point::Shutdown,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc (q *Queue) Put(j Job) { q.jobs <- j }\n\nfunc (q *Queue) Stop() { close(q.jobs) }\n",
        good: "package a\n\nfunc (q *Queue) Put(j Job) {\n\tselect {\n\tcase q.jobs <- j:\n\tcase <-q.done:\n\t}\n}\n\nfunc (q *Queue) Stop() { close(q.done) }\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "close") {
        let Some(function) = function_of(call.node).filter(|function| function.is("method_declaration")) else { continue };
        if !says(function.field_text("name"), &["stop", "close", "shutdown"]) {
            continue;
        }
        let Some(channel) = call.arg(0).and_then(|arg| arg.text().rsplit_once('.').map(|(_, field)| format!(".{field}"))) else { continue };
        let kind = receiver_type(function);
        let send = source.each("send_statement").find(|send| {
            send.field_text("channel").ends_with(&channel)
                // A send of a method that others call; one inside the owner's own loop is in order with the close.
                && !send.parent().is_some_and(|up| up.is("communication_case"))
                && function_of(*send).is_some_and(|other| other.field_text("name").starts_with(char::is_uppercase)) && function_of(*send).is_some_and(|other| other != function && receiver_type(other) == kind && !guarded(other))
        });
        if send.is_some() && !guarded(function) {
            found.at(call.node);
        }
    }
}

fn receiver_type(function: Node<'_>) -> &str {
    function.field_text("receiver").rsplit([' ', '*']).next().unwrap_or("").trim_end_matches(')')
}

/// A lock or a flag may make it safe; a person has to tell.
fn guarded(function: Node<'_>) -> bool {
    ["Lock()", "closed", "Closed", "stopped", "recover()", ".Wait()"].iter().any(|sign| function.text().contains(sign))
}
