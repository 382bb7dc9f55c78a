//! The composition root: settings in, a service out.

use std::sync::Arc;

use anyhow::Context;
use stanchion::auth::key::OperatedKeys;
use stanchion::auth::secret::Signer;
use stanchion::auth::{Policies, ServiceTokens, secret};
use stanchion::server::{InProcess, Module, Options, Purpose, Service};
use stanchion::sql::{Migrations, SqlSnapshots};
use stanchion::telemetry::Telemetry;

use crate::banner::Banner;
use crate::broker::Broker;
use crate::personal::Customers;
use crate::sandbox;
use crate::settings::{ModuleDatabase, ShopSettings};
use crate::tokens::Tokens;
use crate::wiring::{Calls, Near, Parts};

/// The modules, in the order they are mounted.
pub(crate) const MODULES: [&str; 4] = ["identity", "inventory", "orders", "payments"];

/// Builds what this process is: every module, or some of them.
pub(crate) async fn build(
    settings: ShopSettings,
    options: Options,
    telemetry: Telemetry,
    policies: Arc<dyn Policies>,
) -> anyhow::Result<Service> {
    let metrics = telemetry.metrics().clone();
    let running = options.purpose == Purpose::Run;
    let folder = settings.folder();
    if let Some(folder) = folder.as_ref().filter(|_| running) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let sandbox = if running && options.wants("payments") {
        sandbox::start(&settings).await?.map(Arc::new)
    } else {
        None
    };
    let broker = Broker::of(&settings.broker, &metrics).await?;
    let near = Near::of(&settings, options.purpose, &metrics)?;
    let parts = Parts {
        settings: &settings,
        options: &options,
        broker: &broker,
        metrics: &metrics,
        policies: &policies,
        near: &near,
    };
    let server_secret = parts.secret(
        settings.server.secret.as_ref(),
        "server.secret",
        "SHOP__SERVER__SECRET",
        secret::generate,
    )?;
    let signer = Arc::new(Signer::new(&server_secret)?);
    let calls = Calls {
        within: InProcess::default(),
        tokens: ServiceTokens::new(Arc::clone(&signer)),
        signer: Arc::clone(&signer),
    };

    let mut identity = parts.identity(&calls).await?;
    let (inventory, stock) = parts.inventory().await?.unzip();
    let (orders, ordered) = parts.orders(&calls, &identity.vault).await?.unzip();
    let payments = parts.payments(sandbox.as_deref(), &identity.vault).await?;
    let (payments, paid) = payments.unzip();
    let modules = [identity.module.take(), inventory, orders, payments];
    let mut modules: Vec<Module> = modules.into_iter().flatten().collect();
    identity.watched_by(&mut modules);
    near.watched_by(&mut modules);

    let served: Vec<_> = modules.iter().map(Module::name).collect();
    let banner = Banner {
        scheme: settings.server.tls.scheme(),
        admin_scheme: settings.admin.tls.scheme(),
        modules: served.clone(),
        storage: settings.database.url.clone(),
        connections: connections(),
        environment: settings.environment.to_string(),
        made_password: identity.made_password,
        gateway: settings.payments.gateway_url.clone(),
        demo: parts.wants_demo(),
    };
    let webhooks = sandbox::Webhooks::of(&settings, sandbox.clone());
    let mut service = Service::new(settings.server.clone())
        .titled("shop", env!("CARGO_PKG_VERSION"))
        .admin(settings.admin.clone())
        .role(options.role)
        .signer(signer)
        .in_process(&calls.within)
        .tokens(Arc::new(Tokens {
            users: identity.tokens,
            services: calls.tokens,
            served,
        }))
        .metrics(metrics)
        .on_started(move |addresses| {
            webhooks.come_to(addresses);
            println!("{}", banner.text(addresses));
        });
    if let Some(here) = identity.here {
        let others = [stock, ordered, paid].into_iter().flatten();
        service = service.keys(Arc::clone(&here.identity) as Arc<dyn OperatedKeys>);
        service = service.subjects(Arc::new(Customers {
            identity: here.identity,
            vault: here.vault,
            log: here.log,
            snapshots: others.map(SqlSnapshots::new).collect(),
        }));
    }
    service = near.rates(service);
    for module in modules {
        service = service.mount(module);
    }
    if let Some(sandbox) = sandbox {
        service = service.closer("sandbox", || sandbox::stop(sandbox));
    }
    Ok(service.closer("telemetry", move || telemetry.flush()))
}

/// What this process may open at each server, said in the log as well.
fn connections() -> Vec<String> {
    let all = stanchion::sql::connections();
    let said = all.iter().map(|all| {
        tracing::info!(database = all.database, max = all.max(), "{all}");
        all.to_string()
    });
    said.collect()
}

/// The schema of each module, for `shop migrate`.
pub(crate) fn migrations(module: &str) -> Vec<Migrations> {
    match module {
        "identity" => vec![shop_identity::migrations()],
        "inventory" => vec![shop_inventory::migrations()],
        "orders" => vec![shop_orders::migrations()],
        "payments" => vec![shop_payments::migrations()],
        _ => Vec::new(),
    }
}

/// A module's own store setting.
pub(crate) fn own_database<'a>(settings: &'a ShopSettings, module: &str) -> &'a ModuleDatabase {
    match module {
        "identity" => &settings.identity.database,
        "inventory" => &settings.inventory.database,
        "orders" => &settings.orders.database,
        _ => &settings.payments.database,
    }
}
