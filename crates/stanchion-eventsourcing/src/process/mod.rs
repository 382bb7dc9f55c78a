mod care;
mod definition;
mod event;
mod gauge;
mod instance;
mod operated;
mod rows;

use std::sync::Arc;

use jiff::Timestamp;
use stanchion_messaging::{Consumer, Contract, HandlerError, Received};
use stanchion_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

pub use self::definition::{Process, Standing, Step};
pub use self::event::{ProcessEvent, RunEvent};
pub use self::instance::{Instance, NotTold, Told};
pub use self::operated::{Happened, InstanceShown, NotDone, OperatedProcess, ProcessOperator};
pub use self::rows::{InstanceCount, InstanceFilter, InstanceList, InstanceRow, InstanceState};

pub(crate) use self::care::{Care, Verdict};
use self::gauge::Counting;
use self::instance::RETRIED_WITHIN;
use crate::{Aggregate, DueTimer, ExecuteError, Repository, Timers};

/// An aggregate fed by a consumer, voiced by the relay, with timers: the saga's orchestrator.
///
/// It reacts to contracts with events; the relay announces those that ask somebody for the next
/// step. Each message takes effect once, timers commit with the events that set them. Its `decide`
/// must have an answer to every pair of state and message, late and repeated ones too: a refusal
/// is a defect and becomes a dead letter, or, of a [managed](ProcessManager::managed) process, pauses that instance.
pub struct ProcessManager<A: Aggregate> {
    repository: Arc<Repository<A>>,
    consumer: Consumer,
    timers: Option<Fire<A>>,
    care: Option<Arc<Care<A>>>,
    counting: Option<Counting>,
}

type Fire<A> = Box<dyn Fn(&DueTimer, Timestamp) -> <A as Aggregate>::Command + Send + Sync>;

impl<P: Process> ProcessManager<Instance<P>> {
    /// A manager of a [`Process`], whose instances remember the definition they began under, pause at what they cannot
    /// decide, and obey an [operator](ProcessOperator).
    ///
    /// An instance that pauses keeps its messages waiting as retries, in order, and its timers stop; all others go on. One
    /// of a definition that only newer code knows waits for that. Retries are at most 30 s apart, whatever the consumer's
    /// limits say: what waited is heard before a timer that was nearly due when the instance paused.
    pub fn managed(repository: Arc<Repository<Instance<P>>>, consumer: Consumer) -> Self {
        let care = Some(Arc::new(Care::new()));
        Self {
            care,
            ..Self::new(repository, consumer.retries_within(RETRIED_WITHIN))
        }
    }

    /// Counts what happens to instances in `stanchion_process_events_total{process,definition,event}`: `begun`,
    /// `timed_out`, `compensating`, `paused`, `resumed`, `restarted`, `migrated`, and the outcomes they end with.
    /// Shows those that have not ended in `stanchion_process_instances{process,definition,state}`, as the list says.
    #[must_use]
    pub fn with_metrics(mut self, list: Arc<dyn InstanceList>, metrics: &Metrics) -> Self {
        if let Some(care) = &self.care {
            care.count_in(metrics);
        }
        self.counting = Some(Counting::new(P::CATEGORY, list, metrics));
        self
    }
}

impl<A: Aggregate> ProcessManager<A> {
    /// A process manager over its repository, fed by `consumer`.
    pub fn new(repository: Arc<Repository<A>>, consumer: Consumer) -> Self {
        Self {
            repository,
            consumer,
            timers: None,
            care: None,
            counting: None,
        }
    }

    /// Reacts to the contract `C`: which instance, and what it is told.
    #[must_use]
    pub fn on<C: Contract>(
        mut self,
        tell: impl Fn(C, &Received) -> (String, A::Command) + Send + Sync + 'static,
    ) -> Self {
        let reacting = Arc::new(Reacting {
            repository: Arc::clone(&self.repository),
            care: self.care.clone(),
        });
        let tell = Arc::new(tell);
        self.consumer = self.consumer.on::<C, _, _>(move |contract, received| {
            let (id, command) = tell(contract, &received);
            let reacting = Arc::clone(&reacting);
            async move { reacting.react(&id, &command, &received).await }
        });
        self
    }

    /// What an instance is told when a timer of its is due.
    #[must_use]
    pub fn on_timer(
        mut self,
        tell: impl Fn(&DueTimer, Timestamp) -> A::Command + Send + Sync + 'static,
    ) -> Self {
        self.timers = Some(Box::new(tell));
        self
    }

    /// Runs consumer and timers until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let timers = async {
            if let Some(fire) = self.timers {
                let timers = Timers::cared_for(self.repository, fire, self.care);
                timers.run(stop.clone()).await;
            }
        };
        let counting = async {
            if let Some(counting) = self.counting {
                counting.run(stop.clone()).await;
            }
        };
        tokio::join!(self.consumer.run(stop.clone()), timers, counting);
    }
}

/// What stands between a message and its instance.
struct Reacting<A: Aggregate> {
    repository: Arc<Repository<A>>,
    care: Option<Arc<Care<A>>>,
}

impl<A: Aggregate> Reacting<A> {
    async fn react(
        &self,
        id: &str,
        command: &A::Command,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let execution = self.repository.on(id, &received.metadata);
        let execution = execution.inbox(Some(received.inbox()));
        let refusal = match execution.execute(command).await {
            Ok(executed) => {
                if let Some(care) = &self.care {
                    care.saw(&executed);
                }
                return Ok(());
            }
            Err(ExecuteError::AlreadyHandled { .. }) => return Ok(()),
            Err(ExecuteError::Refused(refusal)) => refusal,
            Err(error @ ExecuteError::Invalid(_)) => {
                return Err(HandlerError::Rejected(error.to_string()));
            }
            Err(error) => return Err(HandlerError::Later(error.to_string())),
        };
        let reason = refusal.to_string();
        let verdict = match &self.care {
            Some(care) => {
                let metadata = &received.metadata;
                care.treat(&self.repository, id, &refusal, metadata).await
            }
            None => Verdict::Reject,
        };
        Err(match verdict {
            Verdict::Reject => HandlerError::Rejected(reason),
            Verdict::Later | Verdict::Pause => HandlerError::Later(reason),
        })
    }
}
