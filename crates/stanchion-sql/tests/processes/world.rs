//! What stands around a trip: one database, a broker that hears its log, and code that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{
    Announcement, Append, Content, EventLog, Expected, Instance, InstanceFilter, InstanceList,
    InstanceShown, InstanceState, Metadata, NewEvent, OperatedProcess, OperatedProjection, Process,
    ProcessManager, ProcessOperator, Relay, Repository, StreamId,
};
use stanchion_messaging::{
    Consumer, ConsumerLimits, ConsumerStore, Contract, DeadLetterFilter, MemoryBroker,
};
use stanchion_runtime::{clock, id, task};
use stanchion_sql::{Db, ProcessRows, Projector, SqlConsumerStore, SqlLog, SqlProcesses};
use stanchion_telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support;
use crate::trip::TripCommand;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const CONSUMER: &str = "trips";

/// What somebody says about a trip.
#[derive(Serialize, Deserialize)]
struct Said {
    trip: String,
    what: String,
    at: Timestamp,
}

impl Contract for Said {
    const NAME: &'static str = "trips.said.v1";

    fn key(&self) -> String {
        self.trip.clone()
    }
}

pub(crate) struct World {
    db: Db,
    log: Arc<dyn EventLog>,
    broker: Arc<MemoryBroker>,
    metrics: Metrics,
}

/// Code that runs.
pub(crate) struct Running {
    stop: CancellationToken,
    done: task::Task<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.done.await.unwrap();
    }
}

/// One on each database.
pub(crate) async fn worlds() -> Vec<World> {
    let mut all = Vec::new();
    for db in support::migrated().await {
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        let broker = Arc::new(MemoryBroker::new());
        let said = |recorded: &stanchion_eventsourcing::Recorded| {
            Ok(match recorded.stream.category() {
                "said" => vec![Announcement::of(&recorded.data.decode::<Said>().unwrap())],
                _ => vec![],
            })
        };
        broker.register(Arc::new(Relay::new("trips", Arc::clone(&log), said)));
        all.push(World {
            db,
            log,
            broker,
            metrics: Metrics::default(),
        });
    }
    all
}

impl World {
    /// The process as this version of the code has it, with its rows.
    pub(crate) fn run<P: Process<Command = TripCommand>>(&self) -> Running {
        let stop = CancellationToken::new();
        let store = Arc::new(SqlConsumerStore::new(self.db.clone()));
        let limits = ConsumerLimits {
            backoff_max: Duration::from_millis(200),
            ..ConsumerLimits::default()
        };
        let broker = Arc::clone(&self.broker);
        let consumer = Consumer::new(CONSUMER, store, broker).limits(limits);
        let manager = ProcessManager::managed(self.repository::<P>(), consumer)
            .with_metrics(Arc::new(self.list()), &self.metrics)
            .on(|said: Said, _| {
                let command = command(&said.what, said.at);
                (said.trip, command.into())
            })
            .on_timer(|_, at| TripCommand::TimeOut { at }.into());
        let rows = ProcessRows::new().of::<P>();
        let rows = Projector::new(self.db.clone(), Arc::clone(&self.log), rows);
        let stopped = stop.clone();
        let done = task::spawn("trips", async move {
            tokio::join!(manager.run(stopped.clone()), rows.run(stopped));
        });
        Running { stop, done }
    }

    fn repository<P: Process>(&self) -> Arc<Repository<Instance<P>>> {
        Arc::new(Repository::new(Arc::clone(&self.log)))
    }

    fn list(&self) -> SqlProcesses {
        SqlProcesses::new(self.db.clone())
    }

    pub(crate) fn operator<P: Process>(&self) -> ProcessOperator<P> {
        ProcessOperator::new(self.repository(), Arc::new(self.list()))
    }

    pub(crate) async fn tell(&self, trip: &str, what: &str) {
        self.tell_at(trip, what, clock::now()).await;
    }

    pub(crate) async fn tell_at(&self, trip: &str, what: &str, at: Timestamp) {
        let said = Said {
            trip: trip.into(),
            what: what.into(),
            at,
        };
        let event = NewEvent {
            id: id::new_v7(),
            kind: "said".into(),
            data: Content::from(serde_json::to_value(said).unwrap()),
        };
        let append = Append {
            stream: StreamId::new("said", trip),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: vec![],
            metadata: Metadata::new(None),
        };
        self.log.append(append).await.unwrap();
    }

    pub(crate) async fn shown<P: Process>(&self, trip: &str) -> Option<InstanceShown> {
        self.operator::<P>().show(trip).await.unwrap()
    }

    /// Waits until a trip runs by that definition and is at that step.
    pub(crate) async fn stands<P: Process>(&self, trip: &str, definition: u32, step: &str) {
        let state = InstanceState::Running;
        self.becomes::<P>(trip, |shown| {
            (shown.definition, shown.state, shown.step.as_deref())
                == (definition, state, Some(step))
        })
        .await;
    }

    pub(crate) async fn ends<P: Process>(&self, trip: &str, outcome: &str) {
        self.becomes::<P>(trip, |shown| {
            (shown.state, shown.step.as_deref()) == (InstanceState::Ended, Some(outcome))
        })
        .await;
    }

    pub(crate) async fn paused_twice<P: Process>(&self, trip: &str) {
        self.becomes::<P>(trip, |shown| {
            let paused = shown
                .history
                .iter()
                .filter(|it| it.event == "process_paused");
            paused.count() == 2
        })
        .await;
    }

    async fn becomes<P: Process>(&self, trip: &str, is: impl Fn(&InstanceShown) -> bool) {
        let begun = Instant::now();
        loop {
            let shown = self.shown::<P>(trip).await;
            if shown.as_ref().is_some_and(&is) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} {trip}: {shown:#?}",
                self.db.module()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the list says this, a line an instance, in the order of their ids.
    pub(crate) async fn listed(&self, wanted: &str) {
        let begun = Instant::now();
        let filter = InstanceFilter {
            state: None,
            limit: 100,
        };
        loop {
            let mut rows = self.list().list("trip", &filter).await.unwrap();
            rows.sort_by(|one, two| one.id.cmp(&two.id));
            let line = |row: &stanchion_eventsourcing::InstanceRow| {
                let step = row.step.as_deref().unwrap_or("-");
                format!("{} v{} {} {step}", row.id, row.definition, row.state.word())
            };
            let lines: Vec<_> = rows.iter().map(line).collect();
            if lines.join("\n") == wanted {
                let counted = self.list().counts("trip").await.unwrap();
                let counted: u64 = counted.iter().map(|count| count.count).sum();
                assert_eq!(counted, rows.len() as u64);
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{lines:#?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes the oldest message that waits away, as an operator does.
    pub(crate) async fn withdraw_first(&self) {
        let store = SqlConsumerStore::new(self.db.clone());
        let begun = Instant::now();
        let filter = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        loop {
            let parked = store.list(&filter).await.unwrap();
            if let Some(first) = parked.first()
                && store.withdraw(CONSUMER, first.message.id).await.unwrap()
            {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "nothing waits: {parked:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until this is said to have happened so often: it is counted a moment after everybody can see it.
    pub(crate) async fn counts(&self, event: &str, often: u64) {
        let begun = Instant::now();
        while self.count(event) != often {
            let counted = self.count(event);
            assert!(begun.elapsed() < PATIENCE, "{event}: {counted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How often this happened to instances of the first definition.
    fn count(&self, event: &str) -> u64 {
        let text = self.metrics.encode();
        let start = format!(
            "stanchion_process_events_total{{process=\"trip\",definition=\"1\",event=\"{event}\"}} "
        );
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.parse().unwrap())
    }

    pub(crate) async fn rows_hold(&self) {
        let rows = ProcessRows::new().of::<crate::trip::Trip<1, 1, false>>();
        let rows = Projector::new(self.db.clone(), Arc::clone(&self.log), rows);
        let verified = OperatedProjection::verify(&rows).await.unwrap();
        assert!(verified.holds(), "{verified:?}");
        assert_eq!(verified.rows, 2);
    }
}

fn command(what: &str, at: Timestamp) -> TripCommand {
    match what {
        "start" => TripCommand::Start { at },
        "flight_booked" => TripCommand::FlightBooked { at },
        "hotel_booked" => TripCommand::HotelBooked { at },
        "insured" => TripCommand::Insured,
        "returned" => TripCommand::Returned,
        "strike" => TripCommand::Strike,
        "explode" => TripCommand::Explode,
        "careless" => TripCommand::Careless,
        other => panic!("nobody says {other}"),
    }
}
