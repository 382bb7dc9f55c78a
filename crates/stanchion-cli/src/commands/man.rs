use std::path::PathBuf;

use anyhow::Context;
use clap::Command;

use crate::outcome::Outcome;

/// Print the manual page, or write one for each command into a folder.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stanchion man | man -l -\n  stanchion man --out ~/.local/share/man/man1"
)]
pub(crate) struct Args {
    /// Write `stanchion.1`, `stanchion-adr.1` and so on into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, command: Command) -> anyhow::Result<Outcome> {
    match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            clap_mangen::generate_to(command, folder)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            crate::outcome::print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Outcome::Clean)
}
