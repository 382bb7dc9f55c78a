//! The whole way: as much as goes, then half of that for the latencies.

use std::sync::Arc;
use std::time::Duration;

use load::{Job, Report};
use stanchion_eventsourcing::EventLog;
use stanchion_messaging::{
    Consumer, ConsumerLimits, Forwarder, HandlerError, MemoryBroker, Publisher, Received,
    Subscriber,
};
use stanchion_nats::{NatsBroker, NatsSettings};
use stanchion_rabbitmq::{RabbitMq, RabbitMqSettings};
use stanchion_sql::{SqlConsumerStore, SqlRelayStore};
use stanchion_telemetry::Metrics;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::{self, MoneyBooked};

/// How often the appends of an even load are sent off.
const TICK: Duration = Duration::from_millis(2);

struct Way {
    source: Arc<dyn EventLog>,
    clock: Arc<Clock>,
    stop: CancellationToken,
    workers: JoinSet<()>,
}

pub async fn run(job: &Job, broker: &str) -> Report {
    let mut way = Way::open(job, broker).await;
    // The first message has everything declared.
    way.append().await;
    way.clock.rest().await;
    let (most, _) = way.as_much_as_goes(job).await;
    way.clock.rest().await;
    let rate = most as f64 / job.seconds.as_secs_f64() / 2.0;
    let taken = way.evenly(job, rate).await;
    way.clock.rest().await;
    way.stop.cancel();
    while way.workers.join_next().await.is_some() {}
    let latencies = way.clock.latencies(&taken);
    Report {
        p50_us: latencies.p50_us,
        p99_us: latencies.p99_us,
        ..Report::rate(most, job.seconds)
    }
}

impl Way {
    async fn open(job: &Job, broker: &str) -> Self {
        let (source_db, source) = store::context(job, "source").await;
        let (sink_db, sink) = store::context(job, "sink").await;
        let (clock, stop) = (Clock::new(), CancellationToken::new());
        let rows = Arc::new(SqlConsumerStore::new(sink_db));
        let relay = Arc::new(store::relay(Arc::clone(&source)));
        let mut workers = JoinSet::new();
        let consumer = if broker == "memory" {
            let memory = MemoryBroker::new();
            memory.register(relay);
            Consumer::new("sink", rows, Arc::new(memory))
        } else {
            let (publisher, subscriber) = connect(job, broker).await;
            let state = Arc::new(SqlRelayStore::new(source_db));
            let forwarder = Forwarder::new(relay, Arc::clone(&publisher), state)
                .asked_through(Arc::clone(&subscriber));
            workers.spawn(forwarder.run(stop.clone()));
            Consumer::new("sink", rows, subscriber).asking(publisher)
        };
        let mut limits = ConsumerLimits::default();
        if let Some(keys) = job.option("keys") {
            limits.keys_max = keys;
        }
        let consumer = consumer.limits(limits);
        let handled = Arc::clone(&clock);
        let consumer = consumer.on(move |booked: MoneyBooked, received: Received| {
            let (sink, clock) = (Arc::clone(&sink), Arc::clone(&handled));
            async move {
                store::append(&*sink, &booked, Some(received.inbox())).await;
                clock.handled(booked.number).await;
                Ok::<(), HandlerError>(())
            }
        });
        workers.spawn(consumer.run(stop.clone()));
        Self {
            source,
            clock,
            stop,
            workers,
        }
    }

    async fn append(&self) {
        append(&*self.source, &self.clock).await;
    }

    async fn as_much_as_goes(&self, job: &Job) -> (u64, Vec<(usize, u64)>) {
        let over = CancellationToken::new();
        let mut writers = JoinSet::new();
        for _ in 0..job.writers {
            let (source, clock, over) = (
                Arc::clone(&self.source),
                Arc::clone(&self.clock),
                over.clone(),
            );
            writers.spawn(async move {
                while !over.is_cancelled() {
                    let room = clock.room.acquire().await.expect("it is never closed");
                    room.forget();
                    append(&*source, &clock).await;
                }
            });
        }
        let counted = self.clock.count(job.seconds).await;
        over.cancel();
        self.clock.room.add_permits(job.writers);
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer panicked");
        }
        counted
    }

    /// So many messages a second, whether or not those before are handled.
    async fn evenly(&self, job: &Job, rate: f64) -> Vec<(usize, u64)> {
        let over = CancellationToken::new();
        let (source, clock) = (Arc::clone(&self.source), Arc::clone(&self.clock));
        let sending = tokio::spawn({
            let over = over.clone();
            async move {
                let (begun, mut sent) = (Instant::now(), 0);
                let mut appends = JoinSet::new();
                let mut ticks = tokio::time::interval(TICK);
                while !over.is_cancelled() {
                    ticks.tick().await;
                    let due = (begun.elapsed().as_secs_f64() * rate) as u64;
                    for _ in sent..due {
                        let (source, clock) = (Arc::clone(&source), Arc::clone(&clock));
                        appends.spawn(async move { append(&*source, &clock).await });
                    }
                    sent = due.max(sent);
                    while appends.try_join_next().is_some() {}
                }
                while appends.join_next().await.is_some() {}
            }
        });
        let (_, taken) = self.clock.count(job.seconds).await;
        over.cancel();
        sending.await.expect("the sender panicked");
        taken
    }
}

async fn append(source: &dyn EventLog, clock: &Clock) {
    let number = clock.number();
    store::append(source, &MoneyBooked::of(number), None).await;
    clock.committed(number);
}

/// Both sides of the adapter, on names of this run's own.
async fn connect(job: &Job, url: &str) -> (Arc<dyn Publisher>, Arc<dyn Subscriber>) {
    let prefix = format!("b{}", Uuid::now_v7().simple());
    let metrics = Metrics::default();
    if url.starts_with("nats:") {
        let mut settings = NatsSettings {
            url: Some(url.into()),
            prefix,
            ..NatsSettings::default()
        };
        if let Some(most) = job.option("bundle") {
            settings.bundle_max = most as u32;
        }
        let broker = NatsBroker::connect(&settings, &metrics).await;
        let broker = Arc::new(broker.expect("settings that can be used"));
        return (broker.clone(), broker);
    }
    let settings = RabbitMqSettings {
        url: Some(url.into()),
        prefix,
        ..RabbitMqSettings::default()
    };
    let broker = RabbitMq::open(&settings, &metrics).expect("settings that can be used");
    let broker = Arc::new(broker);
    (broker.clone(), broker)
}
