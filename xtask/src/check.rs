//! `cargo xtask check`: every step runs, each failing one is printed, one table closes.

mod atomics;
mod contracts;
mod deny;
mod direction;
mod layers;
mod links;
mod metrics;
mod routes;
mod sbom;
mod snippets;
mod source;
mod unused;

use std::{fmt::Write, process::Command, time::Duration};

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these steps; all when none is named.
    #[arg(value_parser = names())]
    steps: Vec<String>,
}

struct Step {
    name: &'static str,
    /// A note for the table.
    run: fn() -> Result<String>,
}

struct Outcome {
    name: &'static str,
    took: Duration,
    result: Result<String>,
}

/// What fails in seconds comes before what compiles.
const STEPS: [Step; 15] = [
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "direction",
        run: direction::check,
    },
    Step {
        name: "layers",
        run: layers::check,
    },
    Step {
        name: "links",
        run: links::check,
    },
    Step {
        name: "atomics",
        run: atomics::check,
    },
    Step {
        name: "metrics",
        run: metrics::check,
    },
    Step {
        name: "contracts",
        run: contracts::check,
    },
    Step {
        name: "snippets",
        run: snippets::check,
    },
    Step {
        name: "unused",
        run: unused::check,
    },
    Step {
        name: "sbom",
        run: sbom::write,
    },
    Step {
        name: "deny",
        run: deny::check,
    },
    Step {
        name: "advisories",
        run: deny::advisories,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "routes",
        run: routes::check,
    },
    Step {
        name: "rustdoc",
        run: rustdoc,
    },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let outcomes: Vec<Outcome> = STEPS
        .iter()
        .filter(|step| options.wants(step))
        .map(Step::perform)
        .collect();
    println!("\n{}", table(&outcomes));
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    if failed > 0 {
        bail!("{failed} of {} checks failed", outcomes.len());
    }
    Ok(())
}

impl Options {
    fn wants(&self, step: &Step) -> bool {
        self.steps.is_empty() || self.steps.iter().any(|name| name == step.name)
    }
}

impl Step {
    fn perform(&self) -> Outcome {
        eprintln!("{} …", self.name);
        let started = Instant::now();
        let result = (self.run)();
        if let Err(error) = &result {
            eprintln!("--- {} ---\n{error:#}\n", self.name);
        }
        Outcome {
            name: self.name,
            took: started.elapsed(),
            result,
        }
    }
}

fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

fn table(outcomes: &[Outcome]) -> String {
    let mut table = String::new();
    for Outcome { name, took, result } in outcomes {
        let (verdict, note) = match result {
            Ok(note) => ("ok", note.as_str()),
            Err(_) => ("FAILED", "see above"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{name:<11} {verdict:<7} {:>6.1} s  {note}",
            took.as_secs_f64()
        );
    }
    table
}

fn fmt() -> Result<String> {
    shell::quiet(&mut workspace::cargo(&["fmt", "--all", "--check"]))?;
    for manifest in workspace::own_manifests() {
        shell::quiet(workspace::cargo(&["fmt", "--check", "--manifest-path"]).arg(manifest))?;
    }
    Ok(String::new())
}

fn clippy() -> Result<String> {
    silent(workspace::cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn rustdoc() -> Result<String> {
    let mut doc = workspace::cargo(&["doc", "--quiet", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    silent(doc)
}

fn silent(mut command: Command) -> Result<String> {
    shell::quiet(&mut command).map(|_| String::new())
}
