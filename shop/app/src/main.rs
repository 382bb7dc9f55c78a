//! The shop: identity, inventory, orders and payments, in one process or in several.

mod banner;
mod broker;
mod clients;
mod demo;
mod failpoint;
mod logs;
mod personal;
mod platform;
mod policies;
mod policy;
mod rows;
mod sandbox;
mod schema;
mod secrets;
mod settings;
mod split;
mod store;
mod tokens;
mod wiring;

use stanchion::config::{Loaded, Loader, default_file};
use stanchion::server::{Options, Purpose, Service, ServiceCli, Stopped};
use stanchion::telemetry;

use crate::settings::ShopSettings;

#[tokio::main]
async fn main() -> Stopped {
    ServiceCli::new("shop", env!("CARGO_PKG_VERSION"), build)
        .modules(&platform::MODULES)
        .config(configuration)
        .migrate(schema::migrate)
        .logs(logs::task)
        .command(sandbox::command(), sandbox::run)
        .command(clients::command(), clients::run)
        .command(policy::command(), policy::run)
        .main()
        .await
}

async fn build(options: Options) -> Result<Service, Stopped> {
    let mut settings = load(&options)?.value;
    if options.purpose == Purpose::Run {
        split::refuse_what_cannot_work(&options, &settings)?;
    } else {
        // An operator reads what was asked for; beside it only what is wrong, and nothing is traced.
        settings.telemetry.log = "warn".into();
        settings.telemetry.otlp_endpoint = None;
    }
    let policies = policies::read(settings.policy.file.as_deref());
    let policies = policies
        .and_then(policies::deciding)
        .map_err(Stopped::Usage)?;
    let telemetry = telemetry::init(&settings.telemetry, "shop");
    let telemetry = telemetry.map_err(|error| Stopped::Usage(error.to_string()))?;
    let built = platform::build(settings, options, telemetry, policies).await;
    built.map_err(|error| Stopped::Failed(format!("{error:#}")))
}

fn configuration(options: Options, default: bool) -> Result<String, Stopped> {
    if default {
        return Ok(default_file::<ShopSettings>());
    }
    Ok(load(&options)?.effective())
}

pub(crate) fn load(options: &Options) -> Result<Loaded<ShopSettings>, Stopped> {
    let loader = Loader::new("SHOP").process_environment();
    let loader = match &options.config {
        Some(path) => loader.file(path),
        None => loader.file_if_present("shop.toml"),
    };
    Ok(loader.load::<ShopSettings>()?)
}
