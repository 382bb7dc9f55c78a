use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "file-not-closed",
    title: "A file is never closed",
    why: "Each call leaks a descriptor; at the limit nothing can be opened, accepted or logged.",
    source: "https://pkg.go.dev/os#File.Close",
    mend: "`defer f.Close()` after the error check; for written files read its error.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc head(name string) byte {\n\tf, err := os.Open(name)\n\tif err != nil {\n\t\treturn 0\n\t}\n\tf.Read(buffer)\n\treturn buffer[0]\n}\n",
        good: "package a\n\nfunc head(name string) byte {\n\tf, err := os.Open(name)\n\tif err != nil {\n\t\treturn 0\n\t}\n\tdefer f.Close()\n\tf.Read(buffer)\n\treturn buffer[0]\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["os.Open", "os.Create", "os.OpenFile", "os.CreateTemp"].contains(&call.path)) {
        let (Some((statement, names)), Some(body)) = (binding(call.node), body_of(call.node)) else { continue };
        let name = names[0];
        // A field or a variable of an outer scope lives on.
        let lives_on = statement.is("assignment_statement") || name.contains('.');
        let closed = body.text().contains(&format!("{name}.Close")) || escapes_alive(body, name, call.node.end());
        if names.len() == 2 && name != "_" && !lives_on && !closed {
            found.at(call.node);
        }
    }
}

/// A reader that is only passed to a call of the standard library stays ours to close.
fn escapes_alive(body: Node<'_>, name: &str, after: usize) -> bool {
    escapes(body, name, after)
}
