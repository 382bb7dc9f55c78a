use std::path::PathBuf;

use crate::outcome::{Outcome, print};
use crate::root::Root;
use crate::scaffold::{made, upgrade};

/// Show what these templates would change in a service that an older `new` made, as a diff. Nothing is written.
///
/// Own changes show as well, turned around. `stanchion upgrade | git apply` takes everything; usually one takes parts.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stanchion upgrade\n  stanchion upgrade --all > newer.patch")]
pub(crate) struct Args {
    /// The service's folder.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Also sources, tests, contracts, migrations and documents, which are meant to be changed.
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let root = Root::open(&args.root)?;
    let made = made(&root)?;
    let differences = upgrade(&root, args.all)?;
    let diffs: String = differences
        .iter()
        .map(|difference| difference.diff.as_str())
        .collect();
    print(&diffs)?;
    let missing = differences
        .iter()
        .filter(|difference| difference.missing)
        .count();
    eprintln!(
        "made by {}, these templates are {}: {} files differ, {missing} of them are missing",
        made.version,
        env!("CARGO_PKG_VERSION"),
        differences.len(),
    );
    Ok(Outcome::of(!differences.is_empty()))
}
