use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "task-without-stop",
    title: "A background loop has no way to stop",
    why: "At a stop it is cut off in the middle of its work, and in a test it lives on into the next one.",
    source: "https://dave.cheney.net/2016/12/22/never-start-a-goroutine-without-knowing-how-it-will-stop; https://tokio.rs/tokio/topics/shutdown",
    mend: "Give it an owner who waits for it and a signal that it looks at: a context, a cancellation token, a closed channel.",
    point: Point::Shutdown,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn start(store: Store) {\n    tokio::spawn(async move {\n        loop {\n            store.sweep().await;\n            tokio::time::sleep(MINUTE).await;\n        }\n    });\n}\n",
            good: "fn start(store: Store, stop: CancellationToken) -> JoinHandle<()> {\n    tokio::spawn(async move {\n        while !stop.is_cancelled() {\n            store.sweep().await;\n        }\n    })\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc start(s *Store) {\n\tgo func() {\n\t\tfor {\n\t\t\ts.Sweep()\n\t\t\ttime.Sleep(time.Minute)\n\t\t}\n\t}()\n}\n",
            good: "package a\n\nfunc start(ctx context.Context, s *Store) {\n\tgo func() {\n\t\tticker := time.NewTicker(time.Minute)\n\t\tdefer ticker.Stop()\n\t\tfor {\n\t\t\tselect {\n\t\t\tcase <-ctx.Done():\n\t\t\t\treturn\n\t\t\tcase <-ticker.C:\n\t\t\t\ts.Sweep()\n\t\t\t}\n\t\t}\n\t}()\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["tokio::spawn", "spawn", "tokio::task::spawn", "task::spawn"].contains(&call.path) && is_statement(call.node)) {
        let Some(body) = call.arg(0).filter(|arg| arg.is("async_block")) else { continue };
        for endless in body.each("loop_expression").filter(|endless| body_of(*endless) == Some(body)) {
            let ends = endless.below().any(|node| ["break_expression", "return_expression", "try_expression"].contains(&node.kind()));
            let asks = ["select!", "cancel", "shutdown", "stop", "recv", "accept", "break", "return", "?"].iter().any(|word| endless.text().contains(word));
            if !ends && !asks {
                found.at(endless);
            }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for go in source.each("go_statement") {
        let Some(body) = go.each("func_literal").next() else { continue };
        for endless in body.each("for_statement").filter(|endless| is_endless(*endless) && body_of(*endless) == Some(body)) {
            let ends = endless.below().any(|node| ["break_statement", "return_statement", "select_statement", "goto_statement"].contains(&node.kind()));
            let asks = ["<-", "ctx", "panic(", "Accept", "os.Exit", "Fatal", "Goexit"].iter().any(|word| endless.text().contains(word));
            if !ends && !asks {
                found.at(endless);
            }
        }
    }
}
