use clap::Command;
use clap_complete::{Shell, generate};

use crate::outcome::Outcome;

/// Print the completions of a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stanchion completions bash > ~/.local/share/bash-completion/completions/stanchion"
)]
pub(crate) struct Args {
    /// Of which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut command: Command) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    generate(args.shell, &mut command, "stanchion", &mut text);
    crate::outcome::print(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Clean)
}
