use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::adr::today;
use crate::outcome::{Outcome, print};
use crate::root::Root;
use crate::scaffold::{Names, Plan, Source, Style, service};

/// The repository that a tag or a branch is taken from.
const REPOSITORY: &str = "https://github.com/stanchion-rs/stanchion";

/// Set up a service on stanchion that builds, passes its tests and can be deployed.
///
/// One context with one aggregate or one table, REST and gRPC, tests, Dockerfile, compose file, Kubernetes manifests, CI, README,
/// runbook, first decision, AGENTS.md.
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
    /// Depend on this version of the registry; the default, with this program's version.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["stanchion_git", "stanchion_path"])]
    stanchion_version: Option<String>,
    /// Depend on a tag of stanchion's repository.
    #[arg(long, value_name = "TAG", conflicts_with = "stanchion_path")]
    stanchion_git: Option<String>,
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
  stanchion new parcels --stanchion-path ../stanchion";

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
    print(&format!("{}\n{}", plan.told(), next(&folder, &names)))?;
    Ok(Outcome::Clean)
}

fn source(args: &Args) -> anyhow::Result<Source> {
    if let Some(path) = &args.stanchion_path {
        let checkout = path
            .canonicalize()
            .with_context(|| path.display().to_string())?;
        let facade = checkout.join("crates/stanchion");
        let facade = if facade.is_dir() { facade } else { checkout };
        ensure!(
            facade.join("Cargo.toml").is_file(),
            "{} is no checkout of stanchion",
            path.display()
        );
        return Ok(Source::Path(facade));
    }
    if let Some(tag) = &args.stanchion_git {
        return Ok(Source::Git {
            url: REPOSITORY.into(),
            tag: Some(tag.clone()),
        });
    }
    let version = args
        .stanchion_version
        .as_deref()
        .unwrap_or(env!("CARGO_PKG_VERSION"));
    Ok(Source::Registry(version.to_owned()))
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
