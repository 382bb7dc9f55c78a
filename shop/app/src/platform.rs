//! The composition root: settings in, a service out.

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use shop_identity::Identity;
use shop_inventory::Inventory;
use shop_orders::InventoryCatalog;
use shop_sandbox::Running as Sandbox;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::password::{Cost, PasswordSettings};
use stanchion::auth::refresh::Lifetimes;
use stanchion::auth::secret::Signer;
use stanchion::auth::{Passwords, ServiceTokens, secret};
use stanchion::messaging::{Feed, MemoryBroker, Subscriber};
use stanchion::server::{InProcess, Module, Options, Purpose, Service};
use stanchion::sql::{Db, Migrations, SqlSnapshots, SqlVault};
use stanchion::telemetry::{Metrics, Telemetry};

use crate::banner::Banner;
use crate::demo;
use crate::personal::{self, Customers};
use crate::sandbox;
use crate::secrets::configured_or_kept;
use crate::settings::{ModuleDatabase, SANDBOX, ShopSettings};
use crate::store::{Opening, Store};
use crate::tokens::Tokens;

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
    let broker = Arc::new(MemoryBroker::new());
    let sandbox = if running && options.wants("payments") {
        sandbox::start(&settings).await?.map(Arc::new)
    } else {
        None
    };
    let parts = Parts {
        settings: &settings,
        broker: &broker,
        metrics: &metrics,
        purpose: options.purpose,
    };
    let server_secret = parts.secret(
        settings.server.secret.as_ref(),
        "server.secret",
        "SHOP__SERVER__SECRET",
        secret::generate,
    )?;

    let signer = Arc::new(Signer::new(&server_secret)?);
    let services = ServiceTokens::new(Arc::clone(&signer));
    let within = InProcess::default();
    let identity = parts.identity().await?;
    let vault = personal::vault(&settings, options.purpose, identity.store.db.clone()).await?;
    let (inventory, stock) = parts.inventory().await?;
    let demo = running && options.demo && settings.wants_demo() && options.wants("inventory");
    if demo {
        demo::stock_up(&inventory.products).await?;
    }
    let catalog = parts.catalog(&within, &services)?;
    let (orders, ordered) = parts.orders(catalog, &vault).await?;
    let (payments, paid) = parts.payments(sandbox.as_deref(), &vault).await?;
    let customers = Customers {
        identity: identity.identity,
        vault,
        log: identity.store.log.id(),
        snapshots: [stock, ordered, paid].map(SqlSnapshots::new).into(),
    };
    let mut modules = vec![identity.module, inventory.module(), orders, payments];
    modules.retain(|module| options.wants(module.name()));
    let tokens = Tokens {
        users: identity.tokens,
        services,
        served: modules.iter().map(Module::name).collect(),
    };

    let banner = Banner {
        scheme: settings.server.tls.scheme(),
        modules: modules.iter().map(Module::name).collect(),
        storage: settings.database.url.clone(),
        connections: connections(),
        environment: settings.environment.to_string(),
        made_password: identity.made_password,
        gateway: settings.payments.gateway_url.clone(),
        demo,
    };
    let webhooks = sandbox::Webhooks::of(&settings, sandbox.clone());
    let mut service = Service::new(settings.server.clone())
        .titled("shop", env!("CARGO_PKG_VERSION"))
        .admin(settings.admin.clone())
        .role(options.role)
        .signer(signer)
        .in_process(&within)
        .tokens(Arc::new(tokens))
        .metrics(metrics)
        .subjects(Arc::new(customers))
        .on_started(move |addresses| {
            webhooks.come_to(addresses);
            println!("{}", banner.text(addresses));
        });
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

/// What the contexts share while they are wired.
struct Parts<'a> {
    settings: &'a ShopSettings,
    broker: &'a Arc<MemoryBroker>,
    metrics: &'a Metrics,
    purpose: Purpose,
}

/// Identity, with what the service needs of it.
struct WiredIdentity {
    identity: Arc<Identity>,
    store: Store,
    module: Module,
    tokens: Arc<dyn stanchion::server::Authenticate>,
    made_password: Option<SecretString>,
}

impl Parts<'_> {
    async fn store(&self, module: &str) -> anyhow::Result<Store> {
        let own = own_database(self.settings, module);
        let (own_schema, shared) = (migrations(module), &self.settings.database);
        let opening = Opening {
            module,
            migrations: &own_schema,
            shared,
            own,
        };
        match self.purpose {
            Purpose::Run => {
                let store = opening.for_service().await?;
                store.db.register(self.metrics);
                Ok(store)
            }
            Purpose::Operate => opening.for_operator().await,
            Purpose::Describe => opening.empty().await,
        }
    }

    /// A secret of the running service; an operator's command needs none and gets one of its own.
    fn secret(
        &self,
        configured: Option<&SecretString>,
        name: &str,
        setting: &str,
        make: fn() -> SecretString,
    ) -> anyhow::Result<SecretString> {
        if self.purpose != Purpose::Run {
            return Ok(make());
        }
        let folder = self.settings.folder();
        configured_or_kept(configured, folder.as_deref(), name, setting, make)
    }

    fn subscriber(&self) -> Arc<dyn Subscriber> {
        Arc::clone(self.broker) as Arc<dyn Subscriber>
    }

    fn announce(&self, feed: impl Feed + 'static) {
        self.broker.register(Arc::new(feed));
    }

    async fn identity(&self) -> anyhow::Result<WiredIdentity> {
        let settings = &self.settings.identity;
        let key = self.secret(
            settings.key_encryption_key.as_ref(),
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
            db: store.db.clone(),
            log: store.log.clone(),
            inbox: store.inbox.clone(),
            passwords,
            sealing: Arc::new(KeyEncryptionKey::from_text(&key)?),
            issuer: self.settings.issuer(),
            audience: "shop".into(),
            access_ttl: self.settings.auth.access_token_life.try_into()?,
            lifetimes: Lifetimes::default(),
        };
        let identity = Identity::new(&dependencies);
        let mut made_password = None;
        if self.purpose == Purpose::Run {
            let made = identity.bootstrap(settings.admin_password.as_ref()).await?;
            made_password = made.admin_password;
        }
        Ok(WiredIdentity {
            module: shop_identity::module(&identity, &dependencies),
            tokens: identity.authenticator(),
            identity,
            store,
            made_password,
        })
    }

    async fn inventory(&self) -> anyhow::Result<(Inventory, Db)> {
        let store = self.store("inventory").await?;
        let inventory = Inventory::new(shop_inventory::Dependencies {
            db: store.db.clone(),
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            metrics: self.metrics.clone(),
        });
        self.announce(inventory.relay());
        Ok((inventory, store.db))
    }

    /// Where orders asks for prices: here, or in the process that has inventory.
    fn catalog(
        &self,
        within: &InProcess,
        tokens: &ServiceTokens,
    ) -> anyhow::Result<InventoryCatalog> {
        let inventory = &self.settings.inventory;
        let Some(url) = &inventory.endpoint else {
            return Ok(InventoryCatalog::within(within));
        };
        let (client, tokens) = (&inventory.client, tokens.clone());
        let elsewhere = InventoryCatalog::at(url, client, self.metrics, tokens);
        elsewhere.context("inventory.endpoint")
    }

    async fn orders(
        &self,
        catalog: InventoryCatalog,
        vault: &Arc<SqlVault>,
    ) -> anyhow::Result<(Module, Db)> {
        let store = self.store("orders").await?;
        self.announce(shop_orders::relay(Arc::clone(&store.log)));
        let module = shop_orders::module(shop_orders::Dependencies {
            db: store.db.clone(),
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            catalog: Arc::new(catalog.clone()),
            vault: vault.clone(),
            metrics: self.metrics.clone(),
            step_timeout: self.settings.orders.step_timeout,
        });
        let module = if let Some(policy) = catalog.policy().cloned() {
            module.policy(policy).degraded_unless("inventory", move || {
                let catalog = catalog.clone();
                async move { catalog.check().await.map_err(|error| error.to_string()) }
            })
        } else {
            module
        };
        Ok((module, store.db))
    }

    async fn payments(
        &self,
        sandbox: Option<&Sandbox>,
        vault: &Arc<SqlVault>,
    ) -> anyhow::Result<(Module, Db)> {
        let store = self.store("payments").await?;
        let settings = &self.settings.payments;
        self.announce(shop_payments::relay(Arc::clone(&store.log)));
        let (url, key, webhook_secret) = match sandbox {
            Some(sandbox) => (
                sandbox.url.clone(),
                sandbox.key.clone(),
                Some(sandbox.webhook_secret.clone()),
            ),
            // An operator's command: nobody is called.
            None if settings.gateway_url == SANDBOX => {
                ("http://127.0.0.1:9".into(), SecretString::default(), None)
            }
            None => (
                settings.gateway_url.clone(),
                settings.gateway_key.clone().unwrap_or_default(),
                settings.webhook_secret.clone(),
            ),
        };
        let module = shop_payments::module(shop_payments::Dependencies {
            db: store.db.clone(),
            log: store.log,
            inbox: store.inbox,
            consumers: store.consumers,
            broker: self.subscriber(),
            vault: vault.clone(),
            metrics: self.metrics.clone(),
            gateway_url: url,
            gateway_key: key,
            gateway_client: settings.gateway.clone(),
            webhook_secret,
        });
        Ok((module.context("the payment gateway")?, store.db))
    }
}
