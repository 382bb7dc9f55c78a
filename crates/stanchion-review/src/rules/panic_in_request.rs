use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "panic-in-request",
    title: "A handler can panic",
    why: "What a caller sends decides whether the task dies: at best a closed connection, at worst the process.",
    source: "https://doc.rust-lang.org/book/ch09-03-to-panic-or-not-to-panic.html; https://go.dev/wiki/CodeReviewComments#dont-panic",
    mend: "Answer with an error; keep panics for what only a bug can cause, outside request paths.",
    point: Point::Errors,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "use axum::extract::Path;\nasync fn show(Path(id): Path<String>) -> String {\n    let id: u64 = id.parse().unwrap();\n    id.to_string()\n}\n",
            good: "use axum::extract::Path;\nasync fn show(Path(id): Path<String>) -> Result<String, Problem> {\n    let id: u64 = id.parse().map_err(Problem::bad_id)?;\n    Ok(id.to_string())\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc show(w http.ResponseWriter, r *http.Request) {\n\tif err := write(w); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n",
            good: "package a\n\nfunc show(w http.ResponseWriter, r *http.Request) {\n\tif err := write(w); err != nil {\n\t\thttp.Error(w, \"failed\", http.StatusInternalServerError)\n\t}\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.receiver.is_some() && ["unwrap", "expect"].contains(&call.name)) {
        let on = call.receiver_text();
        // A poisoned lock is a bug elsewhere; a text of the program's own always parses.
        let own = on.ends_with(".lock()") || on.ends_with(".read()") || on.ends_with(".write()");
        let constant = on.contains("from_static") || on.contains("build()") || on.contains(".body(") || on.ends_with("\".parse()");
        // Structs of the program's own can be serialised: only a bug in the serialiser fails here.
        let serialised = on.contains("serde_json::to_") || on.contains("json!(");
        // An expectation says why it holds; that of an answer from outside cannot know.
        let outside = on.ends_with(".await");
        let Some(function) = function_of(call.node).filter(|function| is_handler(*function)) else { continue };
        if own || constant || serialised || is_known(function, &call) {
            continue;
        }
        if call.name == "unwrap" {
            found.at(call.node);
        } else if outside {
            found.at_maybe(call.node, Confidence::Medium);
        }
    }
    for (node, name, _) in macros(source) {
        // A thread or task of its own dies alone.
        let elsewhere = node.ancestors().filter_map(Call::of).any(|call| ["spawn", "spawn_blocking"].contains(&call.name));
        if !elsewhere && ["panic", "todo", "unimplemented"].contains(&name) && function_of(node).is_some_and(is_handler) {
            found.at(node);
        }
    }
}

/// Whether the function looked before it unwrapped: `if x.is_none() { return }`, `if known.contains(&x)`; or made it.
fn is_known(function: Node<'_>, call: &Call<'_>) -> bool {
    let on = call.receiver_text();
    let what = on.trim_end_matches(".as_ref()").trim_end_matches(".as_deref()").trim_end_matches(".clone()").trim_end_matches(".as_mut()");
    if what.contains(['(', ' ', '\n']) || what.is_empty() {
        return on.ends_with(".as_object_mut()") || on.ends_with(".as_array_mut()");
    }
    let before = function.source().slice(function.start(), call.node.start());
    let looked = [format!("{what}.is_none()"), format!("{what}.is_some()"), format!("contains(&{what})"), format!("is_some({what}"), format!("{what} = Some(")];
    // A model of rows that is being made has what was set.
    let root = what.split('.').next().unwrap_or("");
    let made = [format!("let {root} = "), format!("let mut {root} = ")].iter().any(|bind| before.split(bind.as_str()).nth(1).is_some_and(|value| value.split(';').next().is_some_and(|value| value.contains("ActiveModel"))));
    made || looked.iter().any(|form| before.contains(form.as_str()))
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source) {
        let dies = call.path == "panic" || (call.path.starts_with("log.Fatal") || call.path == "os.Exit");
        let aborts = call.args_text().contains("http.ErrAbortHandler");
        // What gives something back is asked by a handler and is none: a panic there is its contract.
        let answers = function_of(call.node).is_some_and(|function| {
            let result = function.field_text("result").trim_end_matches(')');
            is_handler(function) && (result.is_empty() || result.ends_with("error"))
        });
        if dies && !aborts && answers {
            found.at(call.node);
        }
    }
}
