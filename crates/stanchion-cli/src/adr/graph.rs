use std::fmt::Write;

use super::{Record, Status};

/// How the graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For Markdown pages.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// Which record took whose place (thick), and which mentions which (dotted).
pub(crate) fn draw(records: &[Record], form: Form) -> String {
    match form {
        Form::Mermaid => mermaid(records),
        Form::Dot => dot(records),
    }
}

fn mermaid(records: &[Record]) -> String {
    let mut text = String::from("graph LR\n");
    for record in records {
        let label = record.title.replace('"', "#quot;");
        let _ = writeln!(
            text,
            "  a{}[\"{} {label}\"]",
            record.number,
            record.padded()
        );
        if matches!(
            record.status,
            Status::Superseded | Status::Deprecated | Status::Rejected
        ) {
            let _ = writeln!(text, "  style a{} stroke-dasharray: 4", record.number);
        }
    }
    for (from, to, supersedes) in arrows(records) {
        let arrow = if supersedes {
            "==>|supersedes|"
        } else {
            "-.->"
        };
        let _ = writeln!(text, "  a{from} {arrow} a{to}");
    }
    text
}

fn dot(records: &[Record]) -> String {
    let mut text = String::from("digraph decisions {\n  rankdir=LR; node [shape=box];\n");
    for record in records {
        let label = record.title.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(
            text,
            "  a{} [label=\"{} {label}\"];",
            record.number,
            record.padded()
        );
    }
    for (from, to, supersedes) in arrows(records) {
        let style = if supersedes {
            "label=supersedes"
        } else {
            "style=dotted"
        };
        let _ = writeln!(text, "  a{from} -> a{to} [{style}];");
    }
    text.push_str("}\n");
    text
}

fn arrows(records: &[Record]) -> impl Iterator<Item = (u32, u32, bool)> {
    let known = |number: &u32| records.iter().any(|record| record.number == *number);
    let of = move |record: &Record| {
        let number = record.number;
        let supersedes = record.supersedes.iter().map(|to| (*to, true));
        let all = supersedes.chain(record.mentions.iter().map(|to| (*to, false)));
        let all = all
            .filter(|(to, _)| known(to))
            .map(move |(to, kind)| (number, to, kind));
        all.collect::<Vec<_>>()
    };
    records.iter().flat_map(of)
}
