//! The command line that every service has.

mod dead_letters;
mod log;
mod logs;
mod options;
mod policies;
mod processes;
mod projections;
mod redrive;
mod routes;
mod running;
mod subjects;

pub use logs::LogTask;
pub use options::{Migration, Options, Purpose};
pub use running::ask_operated;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::pin::Pin;

use clap::{ArgMatches, Command};

use crate::{Service, Stopped, lifecycle};

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Stopped>> + Send>>;
type Build = Box<dyn FnOnce(Options) -> Doing<Service> + Send>;
type Configure = Box<dyn FnOnce(Options, bool) -> Result<String, Stopped> + Send>;
type Migrate = Box<dyn FnOnce(Options, Migration) -> Doing<String> + Send>;
type Logs = Box<dyn FnOnce(Options, LogTask) -> Doing<()> + Send>;
type Own = Box<dyn FnOnce(Options, ArgMatches) -> Doing<()> + Send>;

/// A service binary's command line: run, and everything an operator does.
///
/// What it needs of the application is given as functions; everything else is here. Exit codes:
/// 0 clean, 1 a failure or work cut off by a stop, 2 bad usage or configuration.
///
/// ```no_run
/// use stanchion_server::{Options, ServerSettings, Service, ServiceCli, Stopped};
///
/// async fn build(options: Options) -> Result<Service, Stopped> {
///     Ok(Service::new(ServerSettings::default()).role(options.role))
/// }
///
/// #[tokio::main]
/// async fn main() -> Stopped {
///     ServiceCli::new("shop", env!("CARGO_PKG_VERSION"), build).modules(&["orders", "payments"]).main().await
/// }
/// ```
pub struct ServiceCli {
    name: &'static str,
    version: &'static str,
    modules: &'static [&'static str],
    build: Build,
    configure: Option<Configure>,
    migrate: Option<Migrate>,
    logs: Option<Logs>,
    own: Vec<(Command, Own)>,
}

impl ServiceCli {
    /// A command line around a function that puts the service together.
    #[must_use]
    pub fn new<F, Fut>(name: &'static str, version: &'static str, build: F) -> Self
    where
        F: FnOnce(Options) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Service, Stopped>> + Send + 'static,
    {
        Self {
            name,
            version,
            modules: &[],
            build: Box::new(move |options| Box::pin(build(options))),
            configure: None,
            migrate: None,
            logs: None,
            own: Vec::new(),
        }
    }

    /// The modules that `--modules` can choose from.
    #[must_use]
    pub fn modules(mut self, names: &'static [&'static str]) -> Self {
        self.modules = names;
        self
    }

    /// `config`: the effective configuration as text, or (with `true`) a commented default file.
    #[must_use]
    pub fn config<F>(mut self, show: F) -> Self
    where
        F: FnOnce(Options, bool) -> Result<String, Stopped> + Send + 'static,
    {
        self.configure = Some(Box::new(show));
        self
    }

    /// `migrate`: what it did, as text.
    #[must_use]
    pub fn migrate<F, Fut>(mut self, migrate: F) -> Self
    where
        F: FnOnce(Options, Migration) -> Fut + Send + 'static,
        Fut: Future<Output = Result<String, Stopped>> + Send + 'static,
    {
        self.migrate = Some(Box::new(move |options, migration| {
            Box::pin(migrate(options, migration))
        }));
        self
    }

    /// `log verify`, `log export` and `log import`, on the application's stores.
    #[must_use]
    pub fn logs<F, Fut>(mut self, run: F) -> Self
    where
        F: FnOnce(Options, LogTask) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Stopped>> + Send + 'static,
    {
        self.logs = Some(Box::new(move |options, task| Box::pin(run(options, task))));
        self
    }

    /// A subcommand of the application's own.
    #[must_use]
    pub fn command<F, Fut>(mut self, command: Command, run: F) -> Self
    where
        F: FnOnce(Options, ArgMatches) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Stopped>> + Send + 'static,
    {
        self.own.push((
            command,
            Box::new(move |options, matches| Box::pin(run(options, matches))),
        ));
        self
    }

    /// Does what the process's arguments say.
    pub async fn main(self) -> Stopped {
        self.main_with(std::env::args_os()).await
    }

    /// Does what these arguments say; the first is the program.
    pub async fn main_with(self, arguments: impl IntoIterator<Item = OsString>) -> Stopped {
        let matches = match self.parser().try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) => {
                let _ = error.print();
                return if error.exit_code() == 0 {
                    Stopped::Clean
                } else {
                    Stopped::Usage(String::new())
                };
            }
        };
        match self.dispatch(matches).await {
            Ok(stopped) | Err(stopped) => stopped,
        }
    }

    fn parser(&self) -> Command {
        let mut log = log::command();
        if self.logs.is_some() {
            log = log.subcommands(logs::commands());
        }
        let mut parser = Command::new(self.name)
            .version(self.version)
            .args(options::arguments(self.modules))
            .subcommand(
                Command::new("routes").about("Lists routes, who may call them, and workers"),
            )
            .subcommand(log)
            .subcommand(dead_letters::command())
            .subcommand(redrive::command())
            .subcommand(projections::command())
            .subcommand(processes::command())
            .subcommand(policies::command())
            .subcommand(subjects::command());
        if self.configure.is_some() {
            parser = parser.subcommand(options::config_command());
        }
        if self.migrate.is_some() {
            parser = parser.subcommand(options::migrate_command());
        }
        parser.subcommands(self.own.iter().map(|(command, _)| command.clone()))
    }

    async fn dispatch(self, matches: ArgMatches) -> Result<Stopped, Stopped> {
        let options = Options::of(&matches);
        let Some((name, given)) = matches.subcommand() else {
            let service = (self.build)(options);
            return Ok(lifecycle::run(service).await);
        };
        if name == "log"
            && let (Some(task), Some(run)) = (LogTask::of(given), self.logs)
        {
            // Not by way of the service: an import wants stores that nobody has open.
            let operating = Options {
                purpose: Purpose::Operate,
                ..options
            };
            run(operating, task).await?;
            return Ok(Stopped::Clean);
        }
        match (name, self.configure, self.migrate) {
            ("routes", ..) => {
                let service = operated(self.build, options, Purpose::Describe).await?;
                say(routes::text(service).trim_end())?;
            }
            ("log", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                log::run(service, given).await?;
            }
            ("dead-letters", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                dead_letters::run(service, given).await?;
            }
            ("redrive", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                redrive::run(service, given).await?;
            }
            ("projections", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                projections::run(service, given).await?;
            }
            ("processes", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                processes::run(service, given).await?;
            }
            ("policies", ..) => {
                let service = operated(self.build, options, Purpose::Describe).await?;
                policies::run(service, given).await?;
            }
            ("subjects", ..) => {
                let service = operated(self.build, options, Purpose::Operate).await?;
                subjects::run(service, given).await?;
            }
            ("config", Some(configure), _) => {
                say(configure(options, given.get_flag("default"))?.trim_end())?;
            }
            ("migrate", _, Some(migrate)) => {
                say(migrate(options, Migration::of(given)).await?)?;
            }
            _ => {
                let own = self
                    .own
                    .into_iter()
                    .find(|(command, _)| command.get_name() == name);
                let (_, run) =
                    own.ok_or_else(|| Stopped::Usage(format!("unknown command {name}")))?;
                run(options, given.clone()).await?;
            }
        }
        Ok(Stopped::Clean)
    }
}

/// The service put together for an operator, with the modules that were asked for.
async fn operated(build: Build, options: Options, purpose: Purpose) -> Result<Service, Stopped> {
    let options = Options { purpose, ..options };
    let mut service = build(options.clone()).await?;
    service.modules.retain(|module| options.wants(module.name));
    Ok(service)
}

/// Prints a line; a reader that has seen enough (`| head`) is a clean end.
fn say(line: impl Display) -> Result<(), Stopped> {
    let printed = writeln!(std::io::stdout().lock(), "{line}");
    printed.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Stopped::Clean,
        _ => Stopped::failed(error),
    })
}

impl std::fmt::Debug for ServiceCli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceCli({} {})", self.name, self.version)
    }
}
