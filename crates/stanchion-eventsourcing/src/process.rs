use std::sync::Arc;

use jiff::Timestamp;
use stanchion_messaging::{Consumer, Contract, HandlerError, Received};
use tokio_util::sync::CancellationToken;

use crate::{Aggregate, DueTimer, ExecuteError, Repository, Timers};

/// An aggregate fed by a consumer, voiced by the relay, with timers: the saga's orchestrator.
///
/// It reacts to contracts with events; the relay announces those that ask somebody for the next
/// step. Each message takes effect once, timers commit with the events that set them. Its `decide`
/// must have an answer to every pair of state and message, late and repeated ones too: a refusal
/// is a defect and becomes a dead letter.
pub struct ProcessManager<A: Aggregate> {
    repository: Arc<Repository<A>>,
    consumer: Consumer,
    timers: Option<Timers<A>>,
}

impl<A: Aggregate> ProcessManager<A> {
    /// A process manager over its repository, fed by `consumer`.
    pub fn new(repository: Arc<Repository<A>>, consumer: Consumer) -> Self {
        Self {
            repository,
            consumer,
            timers: None,
        }
    }

    /// Reacts to the contract `C`: which instance, and what it is told.
    #[must_use]
    pub fn on<C: Contract>(
        mut self,
        tell: impl Fn(C, &Received) -> (String, A::Command) + Send + Sync + 'static,
    ) -> Self {
        let repository = Arc::clone(&self.repository);
        let tell = Arc::new(tell);
        self.consumer = self.consumer.on::<C, _, _>(move |contract, received| {
            let (id, command) = tell(contract, &received);
            let repository = Arc::clone(&repository);
            async move { react(&repository, &id, &command, &received).await }
        });
        self
    }

    /// What an instance is told when a timer of its is due.
    #[must_use]
    pub fn on_timer(
        mut self,
        tell: impl Fn(&DueTimer, Timestamp) -> A::Command + Send + Sync + 'static,
    ) -> Self {
        self.timers = Some(Timers::new(Arc::clone(&self.repository), tell));
        self
    }

    /// Runs consumer and timers until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let timers = async {
            if let Some(timers) = self.timers {
                timers.run(stop.clone()).await;
            }
        };
        tokio::join!(self.consumer.run(stop.clone()), timers);
    }
}

async fn react<A: Aggregate>(
    repository: &Repository<A>,
    id: &str,
    command: &A::Command,
    received: &Received,
) -> Result<(), HandlerError> {
    let execution = repository
        .on(id, &received.metadata)
        .inbox(Some(received.inbox()));
    match execution.execute(command).await {
        Ok(_) | Err(ExecuteError::AlreadyHandled { .. }) => Ok(()),
        Err(ExecuteError::Refused(refusal)) => Err(HandlerError::Rejected(refusal.to_string())),
        Err(error) => Err(HandlerError::Later(error.to_string())),
    }
}
