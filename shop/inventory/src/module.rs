//! The wiring of inventory: its one composition root.

use std::sync::Arc;

use stanchion::eventsourcing::{EventLog, Relay, Repository};
use stanchion::messaging::{Consumer, ConsumerLimits, ConsumerStore, Inbox, Publisher, Subscriber};
use stanchion::server::Module;
use stanchion::sql::{Db, Migrations, Projector, SqlSnapshots, params};
use stanchion::telemetry::Metrics;

use crate::adapters::announce::{ReservationStep, announce};
use crate::adapters::grpc::service;
use crate::adapters::http::products::{ProductRoutes, routes};
use crate::adapters::projections::products::{ProductList, ProductRows};
use crate::adapters::told::{Told, follow};
use crate::application::known::ProductCache;
use crate::application::products::Products;
use crate::application::reservations;
use crate::application::stockkeeper::Stockkeeper;
use crate::domain::reservation::Reservation;

/// After how many events of a product its state is kept: reading so many more takes less time than a request.
const SNAPSHOT_EVERY: u32 = 100;

/// What inventory needs of whoever runs it.
#[derive(Clone)]
pub struct Dependencies {
    /// Its store.
    pub db: Db,
    /// Its log, in that store.
    pub log: Arc<dyn EventLog>,
    /// Its inbox, in that store.
    pub inbox: Arc<dyn Inbox>,
    /// Its consumers' rows, in that store.
    pub consumers: Arc<dyn ConsumerStore>,
    /// Where the others' contracts come from.
    pub broker: Arc<dyn Subscriber>,
    /// Where consumers ask for what a broker lost; none where nothing can be lost on the way.
    pub asks: Option<Arc<dyn Publisher>>,
    /// What its consumers take on, and how they try again.
    pub limits: ConsumerLimits,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where products are kept near, if they are.
    pub near: Option<ProductCache>,
}

/// The tables of inventory.
#[must_use]
pub fn migrations() -> Migrations {
    let migrations = Migrations::new("inventory").with(
        1,
        "products",
        include_str!("../migrations/0001_products.up.sql"),
        include_str!("../migrations/0001_products.down.sql"),
    );
    #[cfg(feature = "next")]
    let migrations = migrations.with(
        2,
        "restocked",
        include_str!("../migrations/next/0002_restocked.up.sql"),
        include_str!("../migrations/next/0002_restocked.down.sql"),
    );
    migrations
}

/// What inventory announces, to be registered with the broker.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("inventory", log, announce)
}

/// Inventory, wired.
pub struct Inventory {
    /// Products, for whoever asks from within the process.
    pub products: Products,
    dependencies: Dependencies,
}

impl Inventory {
    /// Wires it; nothing runs yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        let snapshots = Arc::new(SqlSnapshots::new(dependencies.db.clone()));
        let log = Arc::clone(&dependencies.log);
        let log = match &dependencies.near {
            Some(near) => Told::of(log, near.clone()),
            None => log,
        };
        let repository = Repository::new(log)
            .snapshots(snapshots, SNAPSHOT_EVERY)
            .with_metrics(&dependencies.metrics);
        let products = Products::new(Arc::new(repository), dependencies.near.clone());
        Self {
            products,
            dependencies,
        }
    }

    /// What it exports to a service.
    #[must_use]
    pub fn module(self) -> Module {
        let Dependencies {
            db,
            log,
            inbox,
            consumers,
            metrics,
            near,
            ..
        } = self.dependencies.clone();
        let projector = Projector::new(db.clone(), Arc::clone(&log), ProductRows);
        let projector = projector.with_metrics(&metrics);
        let list = Arc::new(ProductList {
            db: db.clone(),
            projector: projector.clone(),
            log: Arc::clone(&log),
        });
        let reservations = Arc::new(Repository::<Reservation>::new(Arc::clone(&log)));
        let stockkeeper = self.stockkeeper(Arc::clone(&reservations));
        let process = reservations::process(reservations, self.consumer("reservations"));
        let state = ProductRoutes {
            products: self.products,
            list,
        };
        let followed = Arc::clone(&log);
        let module = Module::new("inventory");
        // Whoever serves reads from near, whatever else it does.
        let module = match near {
            Some(near) => module
                .worker_in_every_role("product-cache", move |stop| follow(followed, near, stop)),
            None => module,
        };
        module
            .routes(routes(state.clone()))
            .grpc(service(state))
            .inbox(inbox)
            .log(log)
            .consumers(consumers)
            .ready_when("database", move || {
                let db = db.clone();
                async move {
                    let answered = db.one("select 1", params![]).await;
                    answered.map(drop).map_err(|error| error.to_string())
                }
            })
            .projection(Arc::new(projector.clone()))
            .worker("products", |stop| projector.run(stop))
            .worker("reservations", |stop| process.run(stop))
            .worker("stockkeeper", |stop| stockkeeper.run(stop))
    }

    fn stockkeeper(&self, reservations: Arc<Repository<Reservation>>) -> Consumer {
        let stockkeeper = Arc::new(Stockkeeper {
            products: self.products.repository(),
            reservations,
        });
        self.consumer("stockkeeper")
            .on(move |step: ReservationStep, received| {
                let stockkeeper = Arc::clone(&stockkeeper);
                async move { stockkeeper.work(step.order_id, &received).await }
            })
    }

    fn consumer(&self, name: &'static str) -> Consumer {
        let dependencies = &self.dependencies;
        let store = Arc::clone(&dependencies.consumers);
        let broker = Arc::clone(&dependencies.broker);
        let consumer = Consumer::new(name, store, broker)
            .limits(dependencies.limits.clone())
            .metrics(&dependencies.metrics);
        match &dependencies.asks {
            Some(publisher) => consumer.asking(Arc::clone(publisher)),
            None => consumer,
        }
    }
}
