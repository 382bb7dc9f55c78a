use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::Role;

/// What every command is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--modules a,b`; empty means all.
    pub modules: Vec<String>,
    /// `--role`.
    pub role: Role,
    /// Not `--no-demo`.
    pub demo: bool,
    /// What the service is put together for.
    pub purpose: Purpose,
}

/// What a service is put together for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To run.
    #[default]
    Run,
    /// For an operator's look or action: no first start, no migration, no other process disturbed; a
    /// store that is not there is a failure.
    Operate,
    /// To be listed: no store is looked into, an empty one will do.
    Describe,
}

/// What `migrate` shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// Bring every store up to date.
    Apply,
    /// Tell whether they are, and change nothing.
    Check,
    /// Take the last so many back.
    Down(u32),
}

impl Options {
    /// Whether that module is wanted.
    #[must_use]
    pub fn wants(&self, module: &str) -> bool {
        self.modules.is_empty() || self.modules.iter().any(|name| name == module)
    }

    pub(super) fn of(matches: &ArgMatches) -> Self {
        let modules = matches.get_many::<String>("modules");
        Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            modules: modules
                .map(|names| names.cloned().collect())
                .unwrap_or_default(),
            role: matches.get_one::<Role>("role").copied().unwrap_or_default(),
            demo: !matches.get_flag("no-demo"),
            purpose: Purpose::Run,
        }
    }
}

impl Migration {
    pub(super) fn of(matches: &ArgMatches) -> Self {
        match matches.get_one::<u32>("down") {
            Some(steps) => Self::Down(*steps),
            None if matches.get_flag("check") => Self::Check,
            None => Self::Apply,
        }
    }
}

pub(super) fn arguments(modules: &'static [&'static str]) -> [Arg; 4] {
    let chosen = Arg::new("modules")
        .long("modules")
        .value_name("NAMES")
        .value_delimiter(',')
        .global(true)
        .help("Only these modules, separated by commas");
    let chosen = if modules.is_empty() {
        chosen
    } else {
        chosen.value_parser(PossibleValuesParser::new(modules))
    };
    [
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("The configuration file"),
        chosen,
        Arg::new("role")
            .long("role")
            .value_parser(value_parser!(Role))
            .global(true)
            .help("Serve requests, run workers, or both"),
        Arg::new("no-demo")
            .long("no-demo")
            .action(ArgAction::SetTrue)
            .global(true)
            .help("An empty store stays empty"),
    ]
}

pub(super) fn config_command() -> Command {
    let default = Arg::new("default")
        .long("default")
        .action(ArgAction::SetTrue);
    Command::new("config")
        .about("Prints the effective configuration, each value with its source")
        .arg(default.help("A commented file with every default instead"))
}

pub(super) fn migrate_command() -> Command {
    let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
    let down = Arg::new("down")
        .long("down")
        .value_name("N")
        .value_parser(value_parser!(u32));
    Command::new("migrate")
        .about("Brings the stores' schemas up to date")
        .arg(check.help("Only tell whether they are"))
        .arg(down.help("Take the last N back").conflicts_with("check"))
}
