//! `log verify | export | import`: what only the application can do, because the stores are its own.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

/// What an operator wants of the modules' logs as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTask {
    /// Look at every wanted module's log and say what does not hold; a finding is a failure.
    Verify,
    /// Write a module's log to a new file, or to the standard output.
    Export {
        /// Whose.
        module: String,
        /// Where to.
        file: Option<PathBuf>,
    },
    /// Read a module's log into its empty store, from a file or the standard input.
    Import {
        /// Whose.
        module: String,
        /// Where from.
        file: Option<PathBuf>,
    },
}

impl LogTask {
    /// The task, if the subcommand of `log` is one.
    pub(super) fn of(matches: &ArgMatches) -> Option<Self> {
        let (name, given) = matches.subcommand()?;
        let module = || given.get_one::<String>("module").cloned();
        let file = || given.get_one::<PathBuf>("file").cloned();
        match name {
            "verify" => Some(Self::Verify),
            "export" => Some(Self::Export {
                module: module()?,
                file: file(),
            }),
            "import" => Some(Self::Import {
                module: module()?,
                file: file(),
            }),
            _ => None,
        }
    }
}

/// The subcommands, below `log`.
pub(super) fn commands() -> [Command; 3] {
    let module = || {
        Arg::new("module")
            .required(true)
            .help("The module whose log it is")
    };
    let file = || {
        Arg::new("file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
    };
    [
        Command::new("verify")
            .about("Looks for everything that does not hold in the event logs; changes nothing"),
        Command::new("export")
            .about("Writes a log as JSON Lines; the service may go on meanwhile")
            .arg(module())
            .arg(file().help("A new file; the standard output if it is left away")),
        Command::new("import")
            .about("Reads an exported log into an empty store, all or nothing")
            .arg(module())
            .arg(file().help("The file; the standard input if it is left away")),
    ]
}
