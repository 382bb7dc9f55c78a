//! The wiring of payments: what it takes, what it brings to a service.

use std::sync::Arc;

use secrecy::SecretString;
use stanchion::auth::Policies;
use stanchion::client::ClientSettings;
use stanchion::eventsourcing::{EventLog, Relay, Repository, Timers, Vault};
use stanchion::messaging::{Consumer, ConsumerLimits, ConsumerStore, Inbox, Publisher, Subscriber};
use stanchion::server::Module;
use stanchion::sql::{Db, Migrations, Projector};
use stanchion::telemetry::Metrics;

use crate::adapters::announce::announce;
use crate::adapters::consumers;
use crate::adapters::gateway::{GatewaySettings, InvalidGatewayUrl, StripeGateway, WebhookSecret};
use crate::adapters::grpc::service;
use crate::adapters::http::{PaymentRoutes, routes};
use crate::adapters::projections::ledger_entries::LedgerEntries;
use crate::adapters::projections::payments::{PaymentList, PaymentRows};
use crate::application::Payments;
use crate::application::call_gateway::CallGateway;
use crate::application::ports::Gateway;
use crate::domain::payment::{Action, Payment};

/// What payments works with.
pub struct Dependencies {
    /// Its database, migrated.
    pub db: Db,
    /// Its event log, in that database.
    pub log: Arc<dyn EventLog>,
    /// The keys dealt with, in that database.
    pub inbox: Arc<dyn Inbox>,
    /// Progress, retries and dead letters of its consumers, in that database.
    pub consumers: Arc<dyn ConsumerStore>,
    /// What orders and its own relay announce.
    pub broker: Arc<dyn Subscriber>,
    /// Where consumers ask for what a broker lost; none where nothing can be lost on the way.
    pub asks: Option<Arc<dyn Publisher>>,
    /// What its consumers take on, and how they try again.
    pub limits: ConsumerLimits,
    /// Where its metrics are kept.
    pub metrics: Metrics,
    /// What decides about single payments, in terms of [`vocabulary`](crate::vocabulary).
    pub policies: Arc<dyn Policies>,
    /// The customers' keys: payment methods come sealed.
    pub vault: Arc<dyn Vault>,
    /// Where the gateway is: https, or http on a loopback address.
    pub gateway_url: String,
    /// The key sent to it.
    pub gateway_key: SecretString,
    /// How it is called: policy, connections, TLS.
    pub gateway_client: ClientSettings,
    /// What it signs webhooks with; without it no webhook is believed, and answers to calls suffice.
    pub webhook_secret: Option<SecretString>,
}

/// Payments as a module: routes, projections, orders' commands, calls to the gateway.
///
/// # Errors
/// [`InvalidGatewayUrl`]
pub fn module(dependencies: Dependencies) -> Result<Module, InvalidGatewayUrl> {
    let settings = GatewaySettings::new(
        &dependencies.gateway_url,
        &dependencies.gateway_key,
        &dependencies.gateway_client,
    )?;
    let log = Arc::clone(&dependencies.log);
    let payments = Arc::new(Repository::<Payment>::new(Arc::clone(&log)));
    let db = dependencies.db.clone();
    let metrics = &dependencies.metrics;
    let rows = Projector::new(db.clone(), Arc::clone(&log), PaymentRows).with_metrics(metrics);
    let ledger = Projector::new(db.clone(), Arc::clone(&log), LedgerEntries).with_metrics(metrics);
    let state = PaymentRoutes {
        payments: Arc::clone(&payments),
        list: Arc::new(PaymentList::new(db.clone(), log.id(), rows.clone())),
        policies: Arc::clone(&dependencies.policies),
        webhook_secret: dependencies.webhook_secret.as_ref().map(WebhookSecret::new),
    };
    let stripe = Arc::new(StripeGateway::new(&settings, metrics)?);
    let caller = CallGateway {
        payments: Arc::clone(&payments),
        gateway: Arc::clone(&stripe) as Arc<dyn Gateway>,
        vault: Arc::clone(&dependencies.vault),
    };
    let commands = consumers::commands(&payments, dependencies.consumer(consumers::COMMANDS));
    let gateway = consumers::gateway(
        &caller,
        dependencies.consumer(consumers::GATEWAY),
        &dependencies.limits,
    );
    let retries = retries(&payments);
    Ok(Module::new("payments")
        .policy(stripe.policy().clone())
        .routes(routes(state.clone()))
        .grpc(service(state))
        .inbox(dependencies.inbox)
        .log(log)
        .consumers(dependencies.consumers)
        .projection(Arc::new(rows.clone()))
        .projection(Arc::new(ledger.clone()))
        .worker("rows", |stop| rows.run(stop))
        .worker("ledger", |stop| ledger.run(stop))
        .worker("commands", |stop| commands.run(stop))
        .worker("gateway", |stop| gateway.run(stop))
        .worker("retries", |stop| retries.run(stop))
        .degraded_unless("gateway", move || {
            let stripe = Arc::clone(&stripe);
            async move { stripe.check().await.map_err(|error| error.to_string()) }
        })
        .ready_when("database", move || {
            let db = db.clone();
            async move {
                let answered = db.opt("select 1", vec![]).await;
                answered.map(drop).map_err(|error| error.to_string())
            }
        }))
}

/// What payments announces, to be registered with the broker.
///
/// It also announces requests to the gateway, which payments itself consumes: `broker` must bring
/// them back to it.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("payments", log, announce)
}

/// The tables of payments.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new("payments")
        .with(
            1,
            "payments",
            include_str!("../migrations/0001_payments.up.sql"),
            include_str!("../migrations/0001_payments.down.sql"),
        )
        .with(
            2,
            "ledger_entries",
            include_str!("../migrations/0002_ledger_entries.up.sql"),
            include_str!("../migrations/0002_ledger_entries.down.sql"),
        )
}

/// Asks again for the refunds of cancellations that failed.
fn retries(payments: &Arc<Payments>) -> Timers<Payment> {
    Timers::new(Arc::clone(payments), |_, now| Action::RetryCancel.at(now))
}

impl Dependencies {
    fn consumer(&self, name: &'static str) -> Consumer {
        let (store, broker) = (Arc::clone(&self.consumers), Arc::clone(&self.broker));
        let consumer = Consumer::new(name, store, broker)
            .limits(self.limits.clone())
            .metrics(&self.metrics);
        match &self.asks {
            Some(publisher) => consumer.asking(Arc::clone(publisher)),
            None => consumer,
        }
    }
}
