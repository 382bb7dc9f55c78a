//! The wiring of orders: what it takes, what it brings to a service.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use stanchion::auth::Policies;
use stanchion::eventsourcing::{
    EventLog, Instance, InstanceList, ProcessManager, ProcessOperator, Relay, Repository, Vault,
};
use stanchion::messaging::{Consumer, ConsumerLimits, ConsumerStore, Inbox, Publisher, Subscriber};
use stanchion::server::Module;
use stanchion::sql::{Db, Migrations, ProcessRows, Projector, SqlProcesses};
use stanchion::telemetry::Metrics;

use crate::adapters::grpc::service;
use crate::adapters::http::{OrderRoutes, routes};
use crate::adapters::projections::order_summaries::{OrderList, OrderSummaries};
use crate::adapters::{announce, consumers};
use crate::application::Orders;
use crate::application::ports::Catalog;
use crate::domain::fulfilment::{Fulfilment, STEP_TIMEOUT};
use crate::domain::order::Order;

/// What orders works with.
pub struct Dependencies {
    /// Its database, migrated.
    pub db: Db,
    /// Its event log, in that database.
    pub log: Arc<dyn EventLog>,
    /// The keys dealt with, in that database.
    pub inbox: Arc<dyn Inbox>,
    /// Progress, retries and dead letters of its consumers, in that database.
    pub consumers: Arc<dyn ConsumerStore>,
    /// What the other contexts and its own relay announce.
    pub broker: Arc<dyn Subscriber>,
    /// Where consumers ask for what a broker lost; none where nothing can be lost on the way.
    pub asks: Option<Arc<dyn Publisher>>,
    /// What its consumers take on, and how they try again.
    pub limits: ConsumerLimits,
    /// Where prices come from.
    pub catalog: Arc<dyn Catalog>,
    /// The customers' keys: what is about them is sealed before it is recorded.
    pub vault: Arc<dyn Vault>,
    /// What decides about single orders, in terms of [`vocabulary`](crate::vocabulary).
    pub policies: Arc<dyn Policies>,
    /// Where its metrics are kept.
    pub metrics: Metrics,
    /// How long stock and payment may take for one step before the order is given up;
    /// [`default_step_timeout`] unless configured.
    pub step_timeout: Duration,
}

/// How long a step of fulfilment may take unless set otherwise: 60 s.
#[must_use]
pub fn default_step_timeout() -> Duration {
    STEP_TIMEOUT.unsigned_abs()
}

/// Orders as a module: routes, gRPC, the projection of lists, fulfilment and settlement.
pub fn module(dependencies: Dependencies) -> Module {
    let log = Arc::clone(&dependencies.log);
    let repository = Arc::new(Repository::<Order>::new(Arc::clone(&log)));
    let db = dependencies.db.clone();
    let projector = Projector::new(db.clone(), Arc::clone(&log), OrderSummaries);
    let projector = projector.with_metrics(&dependencies.metrics);
    let state = OrderRoutes {
        orders: Orders {
            repository: Arc::clone(&repository),
            catalog: Arc::clone(&dependencies.catalog),
            vault: Arc::clone(&dependencies.vault),
        },
        list: Arc::new(OrderList::new(db.clone(), log.id(), projector.clone())),
        policies: Arc::clone(&dependencies.policies),
    };
    let instances = ProcessRows::new().of::<Fulfilment>();
    let instances = Projector::new(db.clone(), Arc::clone(&log), instances);
    let instances = instances.with_metrics(&dependencies.metrics);
    let fulfilments = Arc::new(Repository::<Instance<Fulfilment>>::new(deadly(&log)));
    let listed: Arc<dyn InstanceList> = Arc::new(SqlProcesses::new(db.clone()));
    let fulfilment = dependencies.fulfilment(&fulfilments, &listed);
    let settlement = dependencies.consumer(consumers::SETTLEMENT);
    let settlement = consumers::settlement(&repository, settlement);
    Module::new("orders")
        .routes(routes(state.clone()))
        .grpc(service(state))
        .inbox(dependencies.inbox)
        .log(log)
        .consumers(dependencies.consumers)
        .projection(Arc::new(projector.clone()))
        .projection(Arc::new(instances.clone()))
        .process(Arc::new(ProcessOperator::new(fulfilments, listed)))
        .worker("order_summaries", |stop| projector.run(stop))
        .worker("process_instances", |stop| instances.run(stop))
        .worker("fulfilment", |stop| fulfilment.run(stop))
        .worker("settlement", |stop| settlement.run(stop))
        .ready_when("database", move || {
            let db = db.clone();
            async move {
                let answered = db.opt("select 1", vec![]).await;
                answered.map(drop).map_err(|error| error.to_string())
            }
        })
}

/// The log as fulfilment writes it: in debug builds a test may have the process die at one of its steps.
fn deadly(log: &Arc<dyn EventLog>) -> Arc<dyn EventLog> {
    #[cfg(debug_assertions)]
    return crate::adapters::failpoint::in_log(Arc::clone(log));
    #[cfg(not(debug_assertions))]
    return Arc::clone(log);
}

/// What orders announces, to be registered with the broker.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("orders", log, announce::announce)
}

/// The tables of orders.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new("orders").with(
        1,
        "order_summaries",
        include_str!("../migrations/0001_order_summaries.up.sql"),
        include_str!("../migrations/0001_order_summaries.down.sql"),
    )
}

impl Dependencies {
    fn fulfilment(
        &self,
        fulfilments: &Arc<Repository<Instance<Fulfilment>>>,
        listed: &Arc<dyn InstanceList>,
    ) -> ProcessManager<Instance<Fulfilment>> {
        let step_timeout = SignedDuration::try_from(self.step_timeout).unwrap_or(STEP_TIMEOUT);
        let consumer = self.consumer(consumers::FULFILMENT);
        consumers::fulfilment(
            Arc::clone(fulfilments),
            consumer,
            Arc::clone(listed),
            &self.metrics,
            step_timeout,
        )
    }

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
