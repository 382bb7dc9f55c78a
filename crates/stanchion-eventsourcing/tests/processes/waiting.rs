//! What waits for an instance that stands still.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion_eventsourcing::{Instance, MemoryLog, Metadata, ProcessManager, Repository, Told};
use stanchion_messaging::{
    Consumer, ConsumerLimits, ConsumerStore, Contract, MemoryBroker, MemoryConsumerStore, Parked,
};
use stanchion_runtime::{clock, task};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Before, C};

#[derive(Serialize, Deserialize)]
struct Booked {
    trip: String,
}

impl Contract for Booked {
    const NAME: &'static str = "hotels.booked.v1";

    fn key(&self) -> String {
        self.trip.clone()
    }
}

async fn a_trip_that_stands_still() -> Arc<Repository<Instance<Before>>> {
    let trips = Arc::new(Repository::<Instance<Before>>::new(Arc::new(
        MemoryLog::new(),
    )));
    let at = clock::now();
    let reason = "a look".to_owned();
    for told in [Told::Message(C::Start { at }), Told::Pause { reason, at }] {
        let executed = trips.execute("rome", &told, &Metadata::new(None)).await;
        assert!(executed.is_ok());
    }
    trips
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_tried_again_before_a_timer_that_was_nearly_due_whatever_the_limits_say() {
    let hour = Duration::from_secs(3_600);
    let trips = a_trip_that_stands_still().await;
    let store = Arc::new(MemoryConsumerStore::default());
    let (id, trip) = (Uuid::from_u128(1), "rome".to_owned());
    let metadata = Metadata::new(None);
    let said = Parked::delayed("trips", &Booked { trip }, id, clock::now(), &metadata).unwrap();
    store.wait_behind(&said).await.unwrap();
    let broker = Arc::new(MemoryBroker::new());
    let consumer = Consumer::new("trips", Arc::clone(&store) as _, broker).limits(ConsumerLimits {
        backoff_base: hour,
        backoff_max: hour,
        ..ConsumerLimits::default()
    });
    let manager = ProcessManager::managed(trips, consumer).on(|booked: Booked, _| {
        let told = C::FlightBooked { at: clock::now() };
        (booked.trip, told.into())
    });
    let stop = CancellationToken::new();
    let running = task::spawn("trips", manager.run(stop.clone()));
    let tried = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let mut found = store.find(id).await.unwrap();
            let found = found.pop().expect("it waits still");
            if found.reason != said.reason {
                return found;
            }
        }
    });
    let waits = tried.await.unwrap();
    assert!(waits.reason.contains("a look"), "{}", waits.reason);
    let at_most = clock::now() + Duration::from_secs(30);
    assert!(waits.due_at <= at_most, "{}", waits.due_at);
    stop.cancel();
    running.await.unwrap();
}
