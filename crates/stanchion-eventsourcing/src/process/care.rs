//! How a manager cares for instances: what it makes of a refusal, and what it counts.

use std::sync::OnceLock;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use stanchion_messaging::Metadata;
use stanchion_telemetry::Metrics;
use tracing::warn;

use super::{Instance, NotTold, Process, ProcessEvent, RunEvent, Standing, Told};
use crate::{Aggregate, ExecuteError, Executed, Repository};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    process: &'static str,
    definition: u32,
    event: &'static str,
}

/// What is made of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is told again.
    Later,
    /// The instance pauses, and is told again when it goes on.
    Pause,
    /// It can never be told.
    Reject,
}

/// The care for the instances of `A`, which hides that these are a process's.
pub(crate) struct Care<A: Aggregate> {
    judge: fn(&A::Refusal) -> Verdict,
    pause: fn(String, Timestamp) -> A::Command,
    tally: fn(&Executed<A>) -> Vec<(u32, &'static str)>,
    definition: fn(&A) -> u32,
    events: OnceLock<Family<Labels, Counter>>,
}

impl<P: Process> Care<Instance<P>> {
    pub(super) fn new() -> Self {
        Self {
            judge,
            pause: |reason, at| Told::Pause { reason, at },
            tally,
            definition: Instance::definition,
            events: OnceLock::new(),
        }
    }
}

impl<A: Aggregate> Care<A> {
    pub(super) fn count_in(&self, metrics: &Metrics) {
        let _ = self.events.set(metrics.counter_family(
            "stanchion_process_events_total",
            "What happened to instances, by process and definition.",
        ));
    }

    /// Counts what an execution did.
    pub(crate) fn saw(&self, executed: &Executed<A>) {
        for (definition, event) in (self.tally)(executed) {
            self.count(definition, event);
        }
    }

    /// Counts a timer that an instance did something about.
    pub(crate) fn saw_timer(&self, executed: &Executed<A>) {
        if !executed.events.is_empty() {
            self.count((self.definition)(&executed.state), "timed_out");
        }
        self.saw(executed);
    }

    fn count(&self, definition: u32, event: &'static str) {
        let labels = Labels {
            process: A::CATEGORY,
            definition,
            event,
        };
        if let Some(events) = self.events.get() {
            events.get_or_create(&labels).inc();
        }
    }

    /// What becomes of what was refused; pauses the instance if that is it.
    pub(crate) async fn treat(
        &self,
        repository: &Repository<A>,
        id: &str,
        refusal: &A::Refusal,
        metadata: &Metadata,
    ) -> Verdict {
        let verdict = (self.judge)(refusal);
        if verdict != Verdict::Pause {
            return verdict;
        }
        let now = stanchion_runtime::clock::now();
        let pause = (self.pause)(refusal.to_string(), now);
        match repository.execute(id, &pause, metadata).await {
            Ok(executed) => {
                warn!(process = A::CATEGORY, id, reason = %refusal, "an instance paused: it cannot go on by itself");
                self.saw(&executed);
                Verdict::Pause
            }
            // Nothing ever happened to it: there is nothing to pause.
            Err(ExecuteError::Refused(_)) => Verdict::Reject,
            Err(error) => {
                warn!(process = A::CATEGORY, id, reason = %refusal, %error, "an instance should pause, and could not");
                Verdict::Later
            }
        }
    }
}

fn judge<R>(refusal: &NotTold<R>) -> Verdict {
    match refusal {
        NotTold::Paused(_) | NotTold::NewerDefinition(_) => Verdict::Later,
        NotTold::NotBegun | NotTold::Ended(_) | NotTold::NoRestart(_) => Verdict::Reject,
        NotTold::RetiredDefinition(_)
        | NotTold::UnknownStep { .. }
        | NotTold::NotRegistered { .. }
        | NotTold::Panicked(_)
        | NotTold::Refused(_) => Verdict::Pause,
    }
}

fn tally<P: Process>(executed: &Executed<Instance<P>>) -> Vec<(u32, &'static str)> {
    let definition = executed.state.definition();
    let began =
        executed.version.map(|version| version.0 + 1) == i64::try_from(executed.events.len()).ok();
    let word = |event: &ProcessEvent<P::Event>| match event {
        ProcessEvent::Own(own) => match P::enters(own)? {
            Standing::AtStep(_) => None,
            Standing::Compensating => Some("compensating"),
            Standing::Ended(outcome) => Some(outcome),
        },
        ProcessEvent::Run(RunEvent::ProcessBegun { .. }) => None,
        ProcessEvent::Run(RunEvent::ProcessMigrated { .. }) => Some("migrated"),
        ProcessEvent::Run(RunEvent::ProcessPaused { .. }) => Some("paused"),
        ProcessEvent::Run(RunEvent::ProcessResumed { .. }) => Some("resumed"),
        ProcessEvent::Run(RunEvent::ProcessRestarted { .. }) => Some("restarted"),
    };
    let begun = (began && !executed.events.is_empty()).then_some("begun");
    let words = begun
        .into_iter()
        .chain(executed.events.iter().filter_map(word));
    words.map(|word| (definition, word)).collect()
}
