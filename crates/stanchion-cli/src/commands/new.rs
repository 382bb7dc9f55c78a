use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::adr::today;
use crate::outcome::{Outcome, print};
use crate::root::Root;
use crate::scaffold::{Names, Plan, Source, Style, service};

/// Set up a service on stanchion that builds, passes its tests and can be deployed.
///
/// One context with one aggregate or one table, REST and gRPC, tests, Dockerfile, compose file, Kubernetes manifests, alert rules,
/// dashboard, CI, README, runbook, first decision, AGENTS.md.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name, `parcels`: lower case letters, digits and dashes. Also its folder.
    name: String,
    /// What is the truth: the log of what happened, or rows.
    #[arg(long, value_enum, default_value = "event-sourced")]
    style: Style,
    /// The first context, if it is not called as the service.
    #[arg(long)]
    context: Option<String>,
    /// What it is about, one of them: `parcel`. The context's name in the singular unless given.
    #[arg(long)]
    thing: Option<String>,
    /// In which folder the service's folder is made.
    #[arg(long, default_value = ".")]
    into: PathBuf,
    /// Depend on this version of the registry. Unless something is said, a service depends on what this program was built from: a
    /// checkout, or its version in the registry.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["stanchion_git", "stanchion_path"])]
    stanchion_version: Option<String>,
    /// Depend on a repository of stanchion.
    #[arg(long, value_name = "URL", conflicts_with = "stanchion_path")]
    stanchion_git: Option<String>,
    /// At this tag of that repository.
    #[arg(long, value_name = "TAG", requires = "stanchion_git")]
    stanchion_tag: Option<String>,
    /// Depend on a checkout of stanchion's repository on this machine.
    #[arg(long, value_name = "FOLDER")]
    stanchion_path: Option<PathBuf>,
    /// Print what would be made, and make nothing.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  stanchion new parcels
  stanchion new billing --thing invoice --style state
  stanchion new parcels --stanchion-path ../stanchion
  stanchion new parcels --stanchion-git https://git.example/stanchion --stanchion-tag v0.1.0";

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let names = Names::new(&args.name, args.context.as_deref(), args.thing.as_deref())?;
    let source = source(args)?;
    source.check()?;
    let plan = Plan {
        files: service(&names, args.style, &source, &today()),
        ..Plan::default()
    };
    let folder = args.into.join(&names.service);
    ensure!(
        !folder.exists(),
        "{} is there already, and nothing is overwritten",
        folder.display()
    );
    if args.dry_run {
        print(&format!(
            "would make {}:\n{}",
            folder.display(),
            plan.told()
        ))?;
        return Ok(Outcome::Clean);
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let root = Root::open(&folder)?;
    plan.carry_out(&root)?;
    let (made, from) = (plan.told(), source.told());
    print(&format!("{made}\n{from}\n{}", next(&folder, &names)))?;
    Ok(Outcome::Clean)
}

fn source(args: &Args) -> anyhow::Result<Source> {
    if let Some(path) = &args.stanchion_path {
        return Source::checkout(path);
    }
    if let Some(url) = &args.stanchion_git {
        return Ok(Source::Git {
            url: url.clone(),
            tag: args.stanchion_tag.clone(),
        });
    }
    match &args.stanchion_version {
        Some(version) => Ok(Source::Registry(version.clone())),
        None => Source::own(),
    }
}

fn next(folder: &Path, names: &Names) -> String {
    let (folder, path) = (folder.display(), names.things().replace('_', "-"));
    format!(
        "Next:\n  cd {folder}\n  cargo test\n  cargo run\n\n\
         It prints `TOKEN=…`. In another terminal, after pasting that line:\n  \
         curl -s http://127.0.0.1:8080/api/v1/{path} -H \"authorization: Bearer $TOKEN\" \\\n    \
         -H 'content-type: application/json' -d '{{\"name\": \"one\"}}'\n  \
         stanchion doctor http://127.0.0.1:8080 --admin http://127.0.0.1:9090\n"
    )
}
