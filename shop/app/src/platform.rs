//! The composition root: settings in, a service out.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use secrecy::{ExposeSecret, SecretString};
use shop_inventory::Inventory;
use shop_sandbox::{Running as Sandbox, Sandbox as Gateway};
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::password::{Cost, PasswordSettings};
use stanchion::auth::refresh::Lifetimes;
use stanchion::auth::secret::Signer;
use stanchion::auth::{Passwords, secret};
use stanchion::messaging::{Feed, MemoryBroker, Subscriber};
use stanchion::server::{Module, Options, Purpose, Service, Stopped};
use stanchion::sql::Migrations;
use stanchion::telemetry::{Metrics, Telemetry};

use crate::banner::Banner;
use crate::catalog::InventoryCatalog;
use crate::demo;
use crate::secrets::configured_or_kept;
use crate::settings::{ModuleDatabase, ShopSettings};
use crate::store::Store;

/// The modules, in the order they are mounted.
pub(crate) const MODULES: [&str; 4] = ["identity", "inventory", "orders", "payments"];

/// Builds everything in one process.
pub(crate) async fn build(
    settings: ShopSettings,
    options: Options,
    telemetry: Telemetry,
) -> anyhow::Result<Service> {
    let metrics = telemetry.metrics().clone();
    let running = options.purpose == Purpose::Run;
    let folder = settings.folder();
    if let Some(folder) = folder.as_ref().filter(|_| running) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let server_secret = configured_or_kept(
        settings.server.secret.as_ref(),
        folder.as_deref(),
        "server.secret",
        "SHOP__SERVER__SECRET",
        secret::generate,
    )?;
    let broker = Arc::new(MemoryBroker::new());
    let sandbox = if running {
        start_sandbox(&settings, folder.as_deref()).await?
    } else {
        None
    };
    let parts = Parts {
        settings: &settings,
        broker: &broker,
        metrics: &metrics,
        running,
    };

    let identity = parts.identity(folder.as_deref()).await?;
    let inventory = parts.inventory().await?;
    let demo = running && options.demo && settings.wants_demo();
    if demo {
        demo::stock_up(&inventory.products).await?;
    }
    let products = inventory.products.clone();
    let orders = parts.orders(InventoryCatalog(products)).await?;
    let payments = parts.payments(sandbox.as_ref()).await?;
    let modules = [identity.module, inventory.module(), orders, payments];

    let banner = Banner {
        modules: modules.iter().map(Module::name).collect(),
        storage: settings.database.url.clone(),
        environment: settings.environment.to_string(),
        made_password: identity.made_password,
        gateway: settings.payments.gateway_url.clone(),
        demo,
    };
    let mut service = Service::new(settings.server.clone())
        .titled("shop", env!("CARGO_PKG_VERSION"))
        .admin(settings.admin.clone())
        .role(options.role)
        .signer(Arc::new(Signer::new(&server_secret)?))
        .tokens(identity.tokens)
        .metrics(metrics)
        .on_started(move |addresses| println!("{}", banner.text(addresses)));
    for module in modules {
        service = service.mount(module);
    }
    if let Some(sandbox) = sandbox {
        service = service.closer("sandbox", || sandbox.stop());
    }
    Ok(service.closer("telemetry", move || telemetry.flush()))
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

/// What the contexts share while they are wired.
struct Parts<'a> {
    settings: &'a ShopSettings,
    broker: &'a Arc<MemoryBroker>,
    metrics: &'a Metrics,
    /// Not only for an operator's look.
    running: bool,
}

/// Identity, with what the service needs of it.
struct WiredIdentity {
    module: Module,
    tokens: Arc<dyn stanchion::server::Authenticate>,
    made_password: Option<SecretString>,
}

impl Parts<'_> {
    async fn store(&self, module: &str) -> anyhow::Result<Store> {
        let own = own_database(self.settings, module);
        let (own_schema, shared) = (migrations(module), &self.settings.database);
        if self.running {
            Store::open(module, &own_schema, shared, own).await
        } else {
            Store::look(module, &own_schema, shared, own).await
        }
    }

    fn subscriber(&self) -> Arc<dyn Subscriber> {
        Arc::clone(self.broker) as Arc<dyn Subscriber>
    }

    fn announce(&self, feed: impl Feed + 'static) {
        self.broker.register(Arc::new(feed));
    }

    async fn identity(&self, folder: Option<&Path>) -> anyhow::Result<WiredIdentity> {
        let settings = &self.settings.identity;
        let key = configured_or_kept(
            settings.key_encryption_key.as_ref(),
            folder,
            "key-encryption.key",
            "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
            KeyEncryptionKey::generate_text,
        )?;
        let cost = Cost {
            memory_kib: settings.hash_memory_kib,
            ..Cost::default()
        };
        let passwords = Passwords::new(&PasswordSettings {
            cost,
            ..PasswordSettings::default()
        })?;
        let store = self.store("identity").await?;
        let dependencies = shop_identity::Dependencies {
            db: store.db,
            log: store.log,
            inbox: store.inbox,
            passwords,
            sealing: Arc::new(KeyEncryptionKey::from_text(&key)?),
            issuer: self.settings.issuer(),
            audience: "shop".into(),
            access_ttl: self.settings.auth.access_token_life.try_into()?,
            lifetimes: Lifetimes::default(),
        };
        let identity = shop_identity::Identity::new(&dependencies);
        let mut made_password = None;
        if self.running {
            let made = identity.bootstrap(settings.admin_password.as_ref()).await?;
            made_password = made.admin_password;
        }
        Ok(WiredIdentity {
            module: shop_identity::module(&identity, &dependencies),
            tokens: identity.authenticator(),
            made_password,
        })
    }

    async fn inventory(&self) -> anyhow::Result<Inventory> {
        let store = self.store("inventory").await?;
        let inventory = Inventory::new(shop_inventory::Dependencies {
            db: store.db,
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            metrics: self.metrics.clone(),
        });
        self.announce(inventory.relay());
        Ok(inventory)
    }

    async fn orders(&self, catalog: InventoryCatalog) -> anyhow::Result<Module> {
        let store = self.store("orders").await?;
        self.announce(shop_orders::relay(Arc::clone(&store.log)));
        Ok(shop_orders::module(shop_orders::Dependencies {
            db: store.db,
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            catalog: Arc::new(catalog),
            metrics: self.metrics.clone(),
            step_timeout: self.settings.orders.step_timeout,
        }))
    }

    async fn payments(&self, sandbox: Option<&Sandbox>) -> anyhow::Result<Module> {
        let store = self.store("payments").await?;
        let settings = &self.settings.payments;
        self.announce(shop_payments::relay(Arc::clone(&store.log)));
        let (url, key, webhook_secret) = match sandbox {
            Some(sandbox) => (
                sandbox.url.clone(),
                sandbox.key.clone(),
                Some(sandbox.webhook_secret.clone()),
            ),
            // An operator's look: nobody is called.
            None if settings.gateway_url == "sandbox:" => {
                ("http://127.0.0.1:9".into(), SecretString::default(), None)
            }
            None => (
                settings.gateway_url.clone(),
                settings.gateway_key.clone().unwrap_or_default(),
                settings.webhook_secret.clone(),
            ),
        };
        shop_payments::module(shop_payments::Dependencies {
            db: store.db,
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            metrics: self.metrics.clone(),
            gateway_url: url,
            gateway_key: key,
            webhook_secret,
        })
        .context("the payment gateway")
    }
}

/// The gateway of our own, when it is wanted.
async fn start_sandbox(
    settings: &ShopSettings,
    folder: Option<&Path>,
) -> anyhow::Result<Option<Sandbox>> {
    if settings.payments.gateway_url != "sandbox:" {
        return Ok(None);
    }
    let database = folder.map(|folder| format!("sqlite://{}", folder.display()).parse());
    let listen = settings.server.listen;
    // On a port that is only known later there are no webhooks; answers to calls suffice.
    let webhook_url =
        (listen.port() != 0).then(|| format!("http://{listen}/api/v1/payments/webhook"));
    let sandbox = Gateway::start(shop_sandbox::Settings {
        database: database.transpose()?,
        webhook_url,
        ..shop_sandbox::Settings::default()
    });
    Ok(Some(sandbox.await.context("the sandbox gateway")?))
}

/// `shop sandbox`.
pub(crate) fn sandbox_command() -> Command {
    Command::new("sandbox")
        .about("Runs the payment gateway alone")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .default_value("127.0.0.1:9300"),
        )
}

/// Runs the payment gateway alone, until a signal.
pub(crate) async fn run_sandbox(options: Options, given: ArgMatches) -> Result<(), Stopped> {
    let settings = crate::load(&options)?.value;
    let usage = |error: &dyn std::fmt::Display| Stopped::Usage(error.to_string());
    let listen = given.get_one::<String>("listen").map(|text| text.parse());
    let listen = listen.transpose().map_err(|error| usage(&error))?;
    let folder = settings
        .folder()
        .map(|folder| format!("sqlite://{}", folder.display()).parse());
    let defaults = shop_sandbox::Settings::default();
    let sandbox = Gateway::start(shop_sandbox::Settings {
        listen: listen.unwrap_or(defaults.listen),
        database: folder.transpose().map_err(|error| usage(&error))?,
        ..defaults
    });
    let sandbox = sandbox.await.map_err(Stopped::failed)?;
    println!(
        "sandbox gateway at {}    key {}",
        sandbox.url,
        sandbox.key.expose_secret()
    );
    tokio::signal::ctrl_c().await.map_err(Stopped::failed)?;
    sandbox.stop().await;
    Ok(())
}
