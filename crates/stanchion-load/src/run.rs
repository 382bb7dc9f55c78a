//! One run: who is due is started in time, by as many callers as there are connections.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_runtime::task;
use tokio::time::{Instant, sleep_until, timeout};

use crate::http::Connection;
use crate::queue::Queue;
use crate::recorder::{Recorder, Taken};
use crate::report::Report;
use crate::scenario::{Caller, Failure, Scenario};
use crate::schedule::{Arrivals, Schedule};
use crate::target::Target;

/// No rate above this: a typing error.
const RATE_MAX: f64 = 1_000_000.0;
/// No run beyond this, warm-up included: its series is kept in memory.
const DURATION_MAX: Duration = Duration::from_secs(6 * 3_600);
/// No more connections than this.
const CONNECTIONS_MAX: usize = 10_000;

/// A load to be run: what, how much, how long, within which bounds.
///
/// Defaults: 100 requests/s at a constant rate for 10 s after 0 s of warm-up, 64 connections, at most 10,000 requests
/// waiting for one, 10 s for each request, seed 1.
pub struct Load {
    target: Arc<Target>,
    arrivals: Arrivals,
    rate: f64,
    warm_up: Duration,
    duration: Duration,
    connections: usize,
    waiting_max: usize,
    request_timeout: Duration,
    seed: u64,
    mix: Vec<Part>,
    begun: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone)]
struct Part {
    name: String,
    weight: u32,
    scenario: Arc<dyn Scenario>,
}

/// Why a load was not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A setting that makes no sense, in words.
    #[error("{0}")]
    Setting(String),
    /// The target takes no connection.
    #[error("{address} cannot be reached: {failure}")]
    Unreachable {
        /// Where it should be.
        address: std::net::SocketAddr,
        /// What came of it.
        failure: Failure,
    },
    /// A scenario panicked.
    #[error(transparent)]
    Panicked(#[from] task::TaskFailed),
}

impl Load {
    /// On that target, with the defaults.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
            arrivals: Arrivals::Constant,
            rate: 100.0,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(10),
            connections: 64,
            waiting_max: 10_000,
            request_timeout: Duration::from_secs(10),
            seed: 1,
            mix: Vec::new(),
            begun: None,
        }
    }

    /// Requests a second; at most 1,000,000.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// How they are spread over time.
    #[must_use]
    pub fn arrivals(mut self, arrivals: Arrivals) -> Self {
        self.arrivals = arrivals;
        self
    }

    /// How long requests are sent at the same rate before any is counted.
    #[must_use]
    pub fn warm_up(mut self, warm_up: Duration) -> Self {
        self.warm_up = warm_up;
        self
    }

    /// How long is measured; six hours at most, with the warm-up.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// The most requests under way, each on a kept connection of its own, all opened before the start; at most 10,000.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// The most requests that are due and wait for a connection; beyond that they are counted as unsent.
    #[must_use]
    pub fn waiting_max(mut self, waiting_max: usize) -> Self {
        self.waiting_max = waiting_max;
        self
    }

    /// After this a request is given up, counted as an error, and its connection closed.
    #[must_use]
    pub fn request_timeout(mut self, request_timeout: Duration) -> Self {
        self.request_timeout = request_timeout;
        self
    }

    /// Where chance begins: the same seed gives the same schedule and the same dice.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a scenario that comes in proportion to its weight.
    #[must_use]
    pub fn scenario(self, name: impl Into<String>, weight: u32, scenario: impl Scenario) -> Self {
        self.shared_scenario(name, weight, Arc::new(scenario))
    }

    /// Likewise, one that the caller keeps as well: to look at what it gathered, or to run it again.
    #[must_use]
    pub fn shared_scenario(
        mut self,
        name: impl Into<String>,
        weight: u32,
        scenario: Arc<dyn Scenario>,
    ) -> Self {
        let name = name.into();
        self.mix.push(Part {
            name,
            weight,
            scenario,
        });
        self
    }

    /// Calls `begun` when the warm-up is over: from then on is measured. For whoever kills something in the middle.
    #[must_use]
    pub fn when_begun(mut self, begun: impl FnOnce() + Send + 'static) -> Self {
        self.begun = Some(Box::new(begun));
        self
    }

    /// Opens the connections, runs the schedule to its end, waits for the last answers.
    ///
    /// Takes warm-up and duration, and at most the time of a request more than that; times under pressure: what still
    /// waits for a connection then is unsent.
    ///
    /// # Errors
    /// When a setting is out of its bounds, the target takes no connection, or a scenario panics. What requests come
    /// to is in the report.
    pub async fn run(self) -> Result<Report, LoadError> {
        self.check()?;
        let mut callers = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let mut connection = Connection::new(Arc::clone(&self.target));
            let connected = connection.connect().await;
            connected.map_err(|failure| LoadError::Unreachable {
                address: self.target.address(),
                failure,
            })?;
            callers.push(Caller::new(connection, self.seed));
        }
        self.drive(callers).await
    }

    fn check(&self) -> Result<(), LoadError> {
        let refuse = |what: String| Err(LoadError::Setting(what));
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            return refuse(format!(
                "a rate of {} is not within 0 and {RATE_MAX}",
                self.rate
            ));
        }
        if self.duration.is_zero() || self.warm_up + self.duration > DURATION_MAX {
            return refuse(format!(
                "a run takes more than nothing and at most {DURATION_MAX:?}"
            ));
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return refuse(format!("connections are 1 to {CONNECTIONS_MAX}"));
        }
        if self.request_timeout.is_zero() {
            return refuse("a request needs time".into());
        }
        if self.mix.iter().all(|part| part.weight == 0) {
            return refuse("no scenario has a weight".into());
        }
        Ok(())
    }

    async fn drive(mut self, callers: Vec<Caller>) -> Result<Report, LoadError> {
        let end = self.warm_up + self.duration;
        let names = self.mix.iter().map(|part| part.name.clone());
        let recorder = Recorder::new(names, self.warm_up, end);
        let weights: Vec<u32> = self.mix.iter().map(|part| part.weight).collect();
        let schedule = Schedule::new(self.arrivals, self.rate, end, weights, self.seed);
        let begun = self.begun.take();
        let stage = Arc::new(Stage {
            start: Instant::now(),
            until: end + self.request_timeout,
            queue: Queue::new(self.waiting_max),
            recorder: Mutex::new(recorder),
            scenarios: self.mix.into_iter().map(|part| part.scenario).collect(),
            request_timeout: self.request_timeout,
        });
        let work = |caller| {
            let stage = Arc::clone(&stage);
            task::spawn("load-caller", async move { stage.work(caller).await })
        };
        let workers: Vec<_> = callers.into_iter().map(work).collect();
        stage.dispatch(schedule, self.warm_up, begun).await;
        let mut opened = 0;
        for worker in workers {
            opened += worker.await?;
        }
        let mut report = stage.recorder.lock().report(self.rate, self.seed);
        report.connections_opened = opened;
        Ok(report)
    }
}

/// What all callers of a run share.
struct Stage {
    start: Instant,
    /// Nothing is begun after this.
    until: Duration,
    queue: Queue,
    recorder: Mutex<Recorder>,
    scenarios: Vec<Arc<dyn Scenario>>,
    request_timeout: Duration,
}

impl Stage {
    /// Hands out what is due, in time, whatever becomes of it.
    async fn dispatch(
        &self,
        schedule: Schedule,
        warm_up: Duration,
        mut begun: Option<Box<dyn FnOnce() + Send>>,
    ) {
        for arrival in schedule {
            let due = self.start + arrival.at;
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if arrival.at >= warm_up
                && let Some(begun) = begun.take()
            {
                begun();
            }
            if !self.queue.push(arrival) {
                self.recorder.lock().unsent(&arrival);
            }
        }
        self.queue.close();
    }

    /// Takes what is due until nothing more comes; gives how often the connection was opened.
    async fn work(&self, mut caller: Caller) -> u64 {
        while let Some(arrival) = self.queue.next().await {
            let begun = self.start.elapsed();
            if begun > self.until {
                self.recorder.lock().unsent(&arrival);
                continue;
            }
            caller.begin(arrival.number);
            let scenario = &self.scenarios[arrival.scenario];
            let run = timeout(self.request_timeout, scenario.run(&mut caller)).await;
            let outcome = run.unwrap_or_else(|_| {
                caller.connection.close();
                Err(Failure::TimedOut)
            });
            let done = self.start.elapsed();
            let taken = Taken { begun, done };
            self.recorder.lock().done(&arrival, taken, outcome);
        }
        caller.connection.opened()
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("target", &self.target)
            .field("rate", &self.rate)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
