//! The shop: identity, inventory, orders and payments in one process.

mod banner;
mod demo;
mod logs;
mod personal;
mod platform;
mod sandbox;
mod schema;
mod secrets;
mod settings;
mod store;
mod tokens;

use stanchion::config::{Loaded, Loader, default_file};
use stanchion::server::{Options, Purpose, Role, Service, ServiceCli, Stopped};
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
        .main()
        .await
}

async fn build(options: Options) -> Result<Service, Stopped> {
    let mut settings = load(&options)?.value;
    if options.purpose == Purpose::Run {
        refuse_a_split(&options, &settings)?;
    } else {
        // An operator reads what was asked for; beside it only what is wrong, and nothing is traced.
        settings.telemetry.log = "warn".into();
        settings.telemetry.otlp_endpoint = None;
    }
    let telemetry = telemetry::init(&settings.telemetry, "shop");
    let telemetry = telemetry.map_err(|error| Stopped::Usage(error.to_string()))?;
    let built = platform::build(settings, options, telemetry).await;
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

/// The in-process broker follows the modules' logs: a part of the shop alone hears of the others only where they lie in
/// a database that both reach.
fn refuse_a_split(options: &Options, settings: &ShopSettings) -> Result<(), Stopped> {
    let whole = platform::MODULES.iter().all(|module| options.wants(module));
    if whole && options.role == Role::All {
        return Ok(());
    }
    let refuse = |why: &str| Err(Stopped::Usage(why.to_owned()));
    if options.role != Role::All || !settings.can_be_split() {
        return refuse(
            "--modules and --role split the shop over processes, but broker.url = \"memory:\" carries \
             messages within one process only; leave both away, or configure a broker. Outside of prod, --modules \
             works with all stores on PostgreSQL, where each process follows the logs of the others",
        );
    }
    let asks_elsewhere = options.wants("orders") && !options.wants("inventory");
    if asks_elsewhere && settings.inventory.endpoint.is_none() {
        return refuse(
            "orders asks inventory for prices, which --modules leaves out: set inventory.endpoint \
             (SHOP__INVENTORY__ENDPOINT) to the URL of the process that has it",
        );
    }
    Ok(())
}
