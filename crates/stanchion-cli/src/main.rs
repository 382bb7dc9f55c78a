//! The architect: reviews, decides, records decisions, sets up services and asks running ones; for people and for coding agents.
//!
//! A command is a file in `commands`; what it works with is a module beside it that knows no command line.

mod adr;
mod commands;
mod decide;
mod doctor;
mod mcp;
mod outcome;
mod root;
mod scaffold;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::outcome::Outcome;

/// Review, decide, record, set up and check services, from the command line or from a coding agent.
#[derive(Parser)]
#[command(name = "stanchion", version, after_help = EXAMPLES)]
struct Stanchion {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  stanchion review
  stanchion decide --team-size 8 --money yes
  stanchion adr new \"Orders keep events\" --status accepted
  stanchion adr check
  stanchion new parcels
  stanchion doctor http://127.0.0.1:8080 --admin http://127.0.0.1:9090

Exit codes: 0 clean, 1 findings, 2 wrong usage or a failure. Colours respect NO_COLOR.";

/// One line a command; each is a file in `commands`.
#[derive(Subcommand)]
enum Command {
    Review(commands::review::Args),
    Explain(commands::explain::Args),
    Decide(commands::decide::Args),
    Adr(commands::adr::Args),
    New(commands::new::Args),
    Add(commands::add::Args),
    Upgrade(commands::upgrade::Args),
    Doctor(commands::doctor::Args),
    Mcp(commands::mcp::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

fn main() -> ExitCode {
    let parsed = Stanchion::parse();
    let done = match parsed.command {
        Command::Review(args) => commands::review::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Decide(args) => commands::decide::run(args),
        Command::Adr(args) => commands::adr::run(args),
        Command::New(args) => commands::new::run(&args),
        Command::Add(args) => commands::add::run(args),
        Command::Upgrade(args) => commands::upgrade::run(&args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Mcp(args) => commands::mcp::run(&args),
        Command::Completions(args) => commands::completions::run(&args, Stanchion::command()),
        Command::Man(args) => commands::man::run(&args, Stanchion::command()),
    };
    Outcome::exit(done)
}
