//! __Things__ over REST and gRPC, on stanchion.
//!
//! `settings` is what it can be told, `platform` puts it together, and each context is a module of its own.

// <contexts>
pub mod __context__;
// </contexts>
mod health;
mod platform;
mod settings;
pub mod store;
mod tokens;

use clap::Command;
use stanchion::config::{Loaded, Loader, default_file};
use stanchion::server::{Options, Purpose, Service, ServiceCli, Stopped};
use stanchion::telemetry;

use crate::settings::Settings;

/// Serves, or does what an operator's subcommand says: `__service__ --help`.
pub async fn main() -> Stopped {
    ServiceCli::new("__service__", env!("CARGO_PKG_VERSION"), build)
        .modules(platform::MODULES)
        .config(configuration)
        .migrate(platform::migrate)
        .command(
            Command::new("health").about("Asks the running service whether it is ready"),
            async |options, _| health::ask(&options),
        )
        .main()
        .await
}

async fn build(options: Options) -> Result<Service, Stopped> {
    let mut settings = load(&options)?.value;
    if options.purpose != Purpose::Run {
        // An operator reads what was asked for; beside it only what is wrong.
        settings.telemetry.log = "warn".into();
        settings.telemetry.otlp_endpoint = None;
    }
    let telemetry = telemetry::init(&settings.telemetry, "__service__");
    let telemetry = telemetry.map_err(|error| Stopped::Usage(error.to_string()))?;
    let built = platform::build(settings, options, telemetry).await;
    built.map_err(|error| Stopped::Failed(format!("{error:#}")))
}

fn configuration(options: Options, default: bool) -> Result<String, Stopped> {
    if default {
        return Ok(default_file::<Settings>());
    }
    Ok(load(&options)?.effective())
}

pub(crate) fn load(options: &Options) -> Result<Loaded<Settings>, Stopped> {
    let loader = Loader::new("__SERVICE__").process_environment();
    let loader = match &options.config {
        Some(path) => loader.file(path),
        None => loader.file_if_present("__service__.toml"),
    };
    Ok(loader.load::<Settings>()?)
}
