//! Each context, wired: the modules of this process, and what it has of the others.

mod identity;
mod near;

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use shop_inventory::Inventory;
use shop_orders::InventoryCatalog;
use shop_sandbox::Running as Sandbox;
use stanchion::auth::secret::Signer;
use stanchion::auth::{Policies, ServiceTokens};
use stanchion::eventsourcing::{EventLog, Relay, Vault};
use stanchion::server::{InProcess, Module, Options, Purpose};
use stanchion::sql::Db;
use stanchion::telemetry::Metrics;

use crate::broker::Broker;
use crate::demo;
use crate::failpoint;
use crate::platform::{migrations, own_database};
use crate::rows::Rows;
use crate::secrets::configured_or_kept;
use crate::settings::{SANDBOX, ShopSettings};
use crate::store::{Opening, Store};

pub(crate) use near::Near;

/// What the contexts share while they are wired.
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a ShopSettings,
    pub(crate) options: &'a Options,
    pub(crate) broker: &'a Broker,
    pub(crate) metrics: &'a Metrics,
    /// What decides about single objects.
    pub(crate) policies: &'a Arc<dyn Policies>,
    pub(crate) near: &'a Near,
}

/// How one context asks another, and says who it is.
pub(crate) struct Calls {
    pub(crate) within: InProcess,
    pub(crate) tokens: ServiceTokens,
    pub(crate) signer: Arc<Signer>,
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
        match self.options.purpose {
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
    pub(crate) fn secret(
        &self,
        configured: Option<&SecretString>,
        name: &str,
        setting: &str,
        make: fn() -> SecretString,
    ) -> anyhow::Result<SecretString> {
        if self.options.purpose != Purpose::Run {
            return Ok(make());
        }
        let folder = self.settings.folder();
        configured_or_kept(configured, folder.as_deref(), name, setting, make)
    }

    /// Whether an empty store of this process's is stocked for a first look.
    pub(crate) fn wants_demo(&self) -> bool {
        let running = self.options.purpose == Purpose::Run;
        let wanted = self.options.demo && self.settings.wants_demo();
        running && wanted && self.options.wants("inventory")
    }

    /// The module, which forgets when it is told to and shows what it has not forgotten.
    fn kept(&self, module: Module, store: &Store) -> Module {
        let kept = &self.settings.retention;
        let rows = Rows::of(module.name(), store.db.clone(), self.metrics);
        let module = module
            .keys_kept(kept.idempotency_keys)
            .messages_kept(kept.messages)
            .worker("rows", |stop| rows.run(stop));
        match kept.dead_letters {
            Some(kept) => module.dead_letters_kept(kept),
            None => module,
        }
    }

    /// Without a broker what another process's module announces is read where it lies.
    async fn overhear(
        &self,
        module: &str,
        relay: fn(Arc<dyn EventLog>) -> Relay,
    ) -> anyhow::Result<()> {
        let running = self.options.purpose == Purpose::Run;
        if running && !self.broker.is_outside() {
            self.broker.overhear(relay(self.store(module).await?.log));
        }
        Ok(())
    }

    pub(crate) async fn inventory(&self) -> anyhow::Result<Option<(Module, Db)>> {
        if !self.options.wants("inventory") {
            self.overhear("inventory", shop_inventory::relay).await?;
            return Ok(None);
        }
        let store = self.store("inventory").await?;
        let inventory = Inventory::new(shop_inventory::Dependencies {
            db: store.db.clone(),
            log: Arc::clone(&store.log),
            inbox: Arc::clone(&store.inbox),
            consumers: Arc::clone(&store.consumers),
            broker: self.broker.subscriber(),
            asks: self.broker.publisher(),
            limits: self.settings.consumers.limits(),
            metrics: self.metrics.clone(),
            near: Some(self.near.products()),
        });
        if self.wants_demo() {
            demo::stock_up(&inventory.products).await?;
        }
        let relay = shop_inventory::relay(Arc::clone(&store.log));
        let module = self.broker.announced(inventory.module(), relay, &store);
        Ok(Some((self.kept(module, &store), store.db)))
    }

    /// Where orders asks for prices: here, or in the process that has inventory.
    fn catalog(&self, calls: &Calls) -> anyhow::Result<InventoryCatalog> {
        let inventory = &self.settings.inventory;
        let here = self.options.wants("inventory");
        let Some(url) = inventory.endpoint.as_ref().filter(|_| !here) else {
            return Ok(InventoryCatalog::within(&calls.within));
        };
        let (client, tokens) = (&inventory.client, calls.tokens.clone());
        let elsewhere = InventoryCatalog::at(url, client, self.metrics, tokens);
        elsewhere.context("inventory.endpoint")
    }

    pub(crate) async fn orders(
        &self,
        calls: &Calls,
        vault: &Arc<dyn Vault>,
    ) -> anyhow::Result<Option<(Module, Db)>> {
        if !self.options.wants("orders") {
            self.overhear("orders", shop_orders::relay).await?;
            return Ok(None);
        }
        let (store, catalog) = (self.store("orders").await?, self.catalog(calls)?);
        let module = shop_orders::module(shop_orders::Dependencies {
            db: store.db.clone(),
            log: Arc::clone(&store.log),
            inbox: Arc::clone(&store.inbox),
            consumers: Arc::clone(&store.consumers),
            broker: self.broker.subscriber(),
            asks: self.broker.publisher(),
            limits: self.settings.consumers.limits(),
            catalog: failpoint::in_catalog(Arc::new(catalog.clone())),
            policies: Arc::clone(self.policies),
            vault: Arc::clone(vault),
            metrics: self.metrics.clone(),
            step_timeout: self.settings.orders.step_timeout,
        });
        let relay = shop_orders::relay(Arc::clone(&store.log));
        let module = self.broker.announced(module, relay, &store);
        let module = if let Some(policy) = catalog.policy().cloned() {
            module.policy(policy).degraded_unless("inventory", move || {
                let catalog = catalog.clone();
                async move { catalog.check().await.map_err(|error| error.to_string()) }
            })
        } else {
            module
        };
        Ok(Some((self.kept(module, &store), store.db)))
    }

    pub(crate) async fn payments(
        &self,
        sandbox: Option<&Sandbox>,
        vault: &Arc<dyn Vault>,
    ) -> anyhow::Result<Option<(Module, Db)>> {
        if !self.options.wants("payments") {
            self.overhear("payments", shop_payments::relay).await?;
            return Ok(None);
        }
        let store = self.store("payments").await?;
        let settings = &self.settings.payments;
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
            log: Arc::clone(&store.log),
            inbox: Arc::clone(&store.inbox),
            consumers: Arc::clone(&store.consumers),
            broker: self.broker.subscriber(),
            asks: self.broker.publisher(),
            limits: self.settings.consumers.limits(),
            policies: Arc::clone(self.policies),
            vault: Arc::clone(vault),
            metrics: self.metrics.clone(),
            gateway_url: url,
            gateway_key: key,
            gateway_client: settings.gateway.clone(),
            webhook_secret,
        });
        let relay = shop_payments::relay(Arc::clone(&store.log));
        let module = module.context("the payment gateway")?;
        let module = self.broker.announced(module, relay, &store);
        Ok(Some((self.kept(module, &store), store.db)))
    }
}
