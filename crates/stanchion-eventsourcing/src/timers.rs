use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::process::{Care, Verdict};
use crate::{Aggregate, ExecuteError, Metadata, Repository, StreamId};

/// How often due timers are looked for.
const POLL: Duration = Duration::from_millis(250);

/// The most timers fired in one round.
const ROUND_MAX: usize = 100;

/// Timers fired at the same time: their events share commits, and a stream that keeps one waiting keeps few others.
const AT_ONCE: usize = 16;

/// The most timers passed over in one round, because what set them cannot be told now.
const KEPT_MAX: usize = 10_000;

/// The first tries at a timer are a round apart; after so many each wait is twice the one before.
const QUICK_TRIES: u32 = 4;

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What an event does to its stream's timers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// Sets the timer of that name, replacing an earlier one.
    Set {
        /// Unique within the stream.
        name: String,
        /// When it fires, or soon after.
        due_at: Timestamp,
    },
    /// Clears the timer of that name, if it is set.
    Clear {
        /// Which.
        name: String,
    },
}

/// A timer whose time has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DueTimer {
    /// The stream that set it.
    pub stream: StreamId,
    /// Its name in that stream.
    pub name: String,
    /// When it was due.
    pub due_at: Timestamp,
}

type Fire<A> = Box<dyn Fn(&DueTimer, Timestamp) -> <A as Aggregate>::Command + Send + Sync>;

/// Fires the timers of a category: executes a command on the aggregate that set them.
///
/// A timer is a row that commits with the event that sets it, so it survives a crash; it may fire
/// late and more than once, and the aggregate decides whether it still matters.
pub struct Timers<A: Aggregate> {
    repository: Arc<Repository<A>>,
    fire: Fire<A>,
    care: Option<Arc<Care<A>>>,
    /// Timers that the last round found due and had to leave; they stand before the others.
    kept: Mutex<HashMap<DueTimer, Kept>>,
}

/// A timer that cannot fire now: whoever has ten thousand of them must not be busy with nothing else.
#[derive(Clone, Copy)]
struct Kept {
    tries: u32,
    until: Instant,
}

impl Kept {
    fn again(before: Option<Self>) -> Self {
        let tries = before.map_or(1, |before| before.tries.saturating_add(1));
        let doublings = tries.saturating_sub(QUICK_TRIES).min(16);
        let wait = match tries {
            ..QUICK_TRIES => Duration::ZERO,
            _ => POLL.saturating_mul(1 << doublings).min(WAIT_MAX),
        };
        let until = Instant::now() + wait;
        Self { tries, until }
    }
}

impl<A: Aggregate> Timers<A> {
    /// Timers of `A`; `fire` makes the command of a due timer and the time.
    pub fn new(
        repository: Arc<Repository<A>>,
        fire: impl Fn(&DueTimer, Timestamp) -> A::Command + Send + Sync + 'static,
    ) -> Self {
        Self::cared_for(repository, Box::new(fire), None)
    }

    /// Timers of a process, whose instances may be unable to hear them.
    pub(crate) fn cared_for(
        repository: Arc<Repository<A>>,
        fire: Fire<A>,
        care: Option<Arc<Care<A>>>,
    ) -> Self {
        Self {
            repository,
            fire,
            care,
            kept: Mutex::default(),
        }
    }

    /// Runs until told to stop; the timers that are being fired then are fired, and the others wait for the next start.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let now = stanchion_runtime::clock::now();
            if let Err(error) = self.fire_until(now, &stop).await {
                warn!(category = A::CATEGORY, %error, "timers wait for their log");
            }
        }
    }

    /// Fires what is due at `now`; returns how many timers were due.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn fire_due(&self, now: Timestamp) -> Result<usize, crate::LogError> {
        self.fire_until(now, &CancellationToken::new()).await
    }

    /// Of a slow log a round of timers may take longer than a stop does.
    async fn fire_until(
        &self,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<usize, crate::LogError> {
        let before = self.kept.lock().len().min(KEPT_MAX);
        let log = self.repository.log();
        let due = log.due_timers(A::CATEGORY, now, ROUND_MAX + before).await?;
        let (mut before, mut kept) = (std::mem::take(&mut *self.kept.lock()), HashMap::new());
        let found = due.len();
        let (mut due, mut firing) = (due.into_iter(), FuturesUnordered::new());
        loop {
            while firing.len() < AT_ONCE
                && let Some(timer) = due.next()
            {
                let earlier = before.remove(&timer);
                let waits = earlier.filter(|earlier| earlier.until > Instant::now());
                if let Some(waits) = waits {
                    kept.insert(timer, waits);
                    continue;
                }
                firing.push(async move {
                    // Another one may have been told to stop meanwhile.
                    let is_left = stop.is_cancelled() || self.fire_one(&timer, now).await;
                    (timer, earlier, is_left)
                });
            }
            match firing.next().await {
                None => break,
                Some((_, _, true)) => {}
                Some((timer, earlier, false)) => {
                    kept.insert(timer, Kept::again(earlier));
                }
            }
        }
        *self.kept.lock() = kept;
        Ok(found)
    }

    /// Fires a timer; false if it must stay, because whose it is cannot be told now, or the log does not let go of it.
    async fn fire_one(&self, timer: &DueTimer, now: Timestamp) -> bool {
        let metadata = Metadata::new(None);
        let command = (self.fire)(timer, now);
        let id = timer.stream.id();
        match self.repository.execute(id, &command, &metadata).await {
            Err(ExecuteError::Unavailable(reason) | ExecuteError::Invalid(reason)) => {
                warn!(stream = %timer.stream, timer = timer.name, reason, "timer will fire again");
                return false;
            }
            Err(ExecuteError::Overloaded) => return false,
            Err(ExecuteError::Refused(refusal)) => {
                debug!(stream = %timer.stream, timer = timer.name, %refusal, "timer refused");
                if let Some(care) = &self.care {
                    let treated = care.treat(&self.repository, id, &refusal, &metadata).await;
                    if treated != Verdict::Reject {
                        // Who paused has its timers in mind, and sets them again when it goes on.
                        return false;
                    }
                }
            }
            Err(refused) => {
                debug!(stream = %timer.stream, timer = timer.name, %refused, "timer refused");
            }
            Ok(executed) => {
                if let Some(care) = &self.care {
                    care.saw_timer(&executed);
                }
            }
        }
        // Unless an event set it anew it is over, also when the aggregate had nothing to say.
        let cleared = self.repository.log().clear_timer(timer).await;
        if let Err(error) = &cleared {
            warn!(stream = %timer.stream, timer = timer.name, %error, "timer will fire again");
        }
        cleared.is_ok()
    }
}
