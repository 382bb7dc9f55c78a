use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "body-not-closed",
    title: "A response body is never closed",
    why: "Its connection goes back to no pool: each call leaks a socket.",
    source: "https://pkg.go.dev/net/http#Response",
    mend: "`defer resp.Body.Close()` after the error check.",
    point: Point::Resources,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc ok(client *http.Client, req *http.Request) bool {\n\tresp, err := client.Do(req)\n\treturn err == nil && resp.StatusCode == 200\n}\n",
        good: "package a\n\nfunc ok(client *http.Client, req *http.Request) bool {\n\tresp, err := client.Do(req)\n\tif err != nil {\n\t\treturn false\n\t}\n\tdefer resp.Body.Close()\n\treturn resp.StatusCode == 200\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source) {
        let plain = ["http.Get", "http.Post", "http.PostForm", "http.DefaultClient.Do"].contains(&call.path);
        let client = call.name == "Do" && call.args().len() == 1 && says(call.receiver_word(), &["client", "http_client", "http"]) && source.has("net/http") | source.has("http.Request");
        let named = ["Get", "Head", "Post", "PostForm"].contains(&call.name) && says(call.receiver_word(), &["http_client"]);
        if !plain && !client && !named {
            continue;
        }
        let (Some((statement, names)), Some(body)) = (binding(call.node), body_of(call.node)) else { continue };
        // A variable of the function around a closure is closed there.
        let outer = statement.is("assignment_statement") && body.is("func_literal");
        let name = names[0];
        // Who reads the body here does not leave it to another to close.
        let reads = body.text().contains(&format!("({name}.Body")) || body.text().contains(&format!(", {name}.Body"));
        let closed = body.text().contains(&format!("{name}.Body.Close")) || leaves(body, name, call.node.end(), reads);
        let handed = body.text().contains(&format!("({name}.Body)")) && body.text().contains("lose(");
        // Whoever throws the response away throws its connection away with it.
        if names.len() == 2 && !outer && (name == "_" || (!closed && !handed && !named_result(body, name))) {
            found.at(call.node);
        }
    }
}

/// Whether the response goes to somebody who closes it: the caller, a field, or a function that is given it unread.
fn leaves(body: Node<'_>, name: &str, after: usize, reads: bool) -> bool {
    let given = |id: &Node<'_>| id.parent().is_some_and(|up| up.is("argument_list"));
    let closes = |id: Node<'_>| id.ancestors().find_map(Call::of).is_some_and(|call| ["lose", "rain", "andle", "ecode", "ead"].iter().any(|part| call.name.contains(part)));
    let only_given = body.each("identifier").filter(|id| id.start() > after && id.text() == name && given(id)).all(|id| !closes(id));
    let returned = body.each("return_statement").any(|back| back.start() > after && back.named().flat_map(|list| list.named().chain([list])).any(|value| value.text() == name || value.text() == format!("{name}.Body")));
    returned || (escapes(body, name, after) && (!reads || !only_given))
}

/// A result with a name goes to the caller by a bare return.
fn named_result(body: Node<'_>, name: &str) -> bool {
    has_word(body.field_text("result"), name)
}
