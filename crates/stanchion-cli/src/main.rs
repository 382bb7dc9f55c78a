//! The architect: reviews, decides, records decisions, sets up services and asks running ones.
//!
//! A command is a file in `commands`.

mod commands;
mod outcome;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::outcome::Outcome;

/// Review services and explain what was found.
#[derive(Parser)]
#[command(name = "stanchion", version)]
struct Stanchion {
    #[command(subcommand)]
    command: Command,
}

/// One line a command; each is a file in `commands`.
#[derive(Subcommand)]
enum Command {
    Review(commands::review::Args),
    Explain(commands::explain::Args),
}

fn main() -> ExitCode {
    let parsed = Stanchion::parse();
    let done = match parsed.command {
        Command::Review(args) => commands::review::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
    };
    Outcome::exit(done)
}
