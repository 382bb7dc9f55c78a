//! Asking the log until it has answered, and noting each answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};
use stanchion::eventsourcing::{
    Append, AppendError, Expected, Metadata, NewEvent, StreamId, Version,
};
use stanchion::messaging::{InboxEntry, InboxKey};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::journal::{How, Intent, Journal, Outcome};
use crate::store::Store;

/// A call that takes longer is given up: the audit calls it stuck.
const HANGS_AFTER: Duration = Duration::from_secs(90);

/// How often an append whose outcome is open is tried again, with the same ids.
const ATTEMPTS_MAX: u32 = 60;

/// Of what is open so many are left so, for the next life or the audit to settle.
const LEAVES_OPEN: f64 = 0.03;

/// Callers who go away in the middle.
const GOES_AWAY: f64 = 0.03;

/// Acknowledged appends that are appended again, with the same ids.
const REPEATS: f64 = 0.08;

/// What every writer has at hand.
pub(crate) struct Desk {
    pub(crate) store: Arc<Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) closing: CancellationToken,
    pub(crate) pause_ms_max: u64,
    pub(crate) dice: StdRng,
}

impl Desk {
    /// Pauses; false when it is time to leave.
    pub(crate) async fn goes_on(&mut self) -> bool {
        let pause = Duration::from_millis(self.dice.random_range(0..=self.pause_ms_max));
        tokio::select! {
            () = self.closing.cancelled() => false,
            () = sleep(pause) => true,
        }
    }

    /// Asks until the answer settles the matter, and notes every answer; the last one.
    pub(crate) async fn settle(
        &mut self,
        intent: &Intent,
        attempt: impl AsyncFn() -> Outcome,
    ) -> Outcome {
        self.journal.intends(intent);
        self.settle_begun(intent, attempt).await
    }

    /// As [`Desk::settle`], for what was noted already.
    pub(crate) async fn settle_begun(
        &mut self,
        intent: &Intent,
        attempt: impl AsyncFn() -> Outcome,
    ) -> Outcome {
        let mut tried = 0;
        loop {
            let outcome = self.once(intent.token, attempt()).await;
            tried += 1;
            let settled = match outcome {
                Outcome::Ack { .. } => !self.repeats(intent),
                Outcome::Refused { why, .. } => !["unavailable", "overloaded"].contains(&why),
                Outcome::Unknown { .. } => self.dice.random_bool(LEAVES_OPEN),
            };
            if settled || tried >= attempts_max(intent) {
                return outcome;
            }
            if !matches!(outcome, Outcome::Ack { .. }) {
                sleep(Duration::from_millis(self.dice.random_range(10..=400))).await;
            }
            self.journal.again(intent.token);
        }
    }

    fn repeats(&mut self, intent: &Intent) -> bool {
        intent.how == How::Append && self.dice.random_bool(REPEATS)
    }

    async fn once(&mut self, token: Uuid, attempt: impl Future<Output = Outcome>) -> Outcome {
        let patience = match self.dice.random_bool(GOES_AWAY) {
            true => Duration::from_micros(self.dice.random_range(0..8_000)),
            false => HANGS_AFTER,
        };
        let began = Instant::now();
        let why = if patience == HANGS_AFTER {
            "hung"
        } else {
            "went away"
        };
        let answered = timeout(patience, pin!(attempt)).await;
        let outcome = answered.unwrap_or(Outcome::Unknown { why });
        self.journal.outcome(token, outcome, began.elapsed());
        outcome
    }
}

/// A command without a key that is executed again is a second command: one attempt, and the audit resolves the rest.
fn attempts_max(intent: &Intent) -> u32 {
    match intent.how {
        How::Repository if intent.key.is_none() => 1,
        _ => ATTEMPTS_MAX,
    }
}

/// The append that an intent stands for, the same each time.
pub(crate) fn append_of(intent: &Intent) -> Append {
    let stream = intent.stream.as_deref().unwrap_or_default();
    let (category, name) = stream.split_once('/').unwrap_or((stream, ""));
    let events = intent.ids.iter().enumerate().map(|(part, id)| {
        let content = content(intent, part);
        event(*id, content)
    });
    Append {
        stream: StreamId::new(category, name),
        expected: match intent.expected {
            None => Expected::Any,
            Some(-1) => Expected::NoStream,
            Some(version) => Expected::Exact(Version(version)),
        },
        events: events.collect(),
        inbox: intent.key.as_deref().map(entry),
        timers: Vec::new(),
        metadata: Metadata::new(Some("chaos".into())),
    }
}

/// The entry of a key as journals have it: `r/chaos/log/KEY`.
pub(crate) fn entry(key: &str) -> InboxEntry {
    let name = key.rsplit('/').next().unwrap_or(key);
    let route = key.split('/').nth(2).unwrap_or_default();
    InboxEntry::new(InboxKey::request("chaos", route, name))
}

pub(crate) fn key(route: &str, name: &str) -> String {
    InboxKey::request("chaos", route, name).as_str().to_owned()
}

/// What stands in each event: which part of which append it is.
pub(crate) fn content(intent: &Intent, part: usize) -> Value {
    json!({"token": intent.token, "part": part, "parts": intent.count, "key": intent.key})
}

pub(crate) fn event(id: Uuid, data: Value) -> NewEvent {
    NewEvent {
        id,
        kind: "noted".into(),
        data: data.into(),
    }
}

/// What the log says, in the journal's words.
pub(crate) fn refused(error: &AppendError) -> Outcome {
    let (why, position) = match error {
        AppendError::Conflict { .. } => ("conflict", None),
        AppendError::AlreadyHandled { position, .. } => ("handled", position.map(|at| at.0)),
        AppendError::ClaimLost => ("claim lost", None),
        AppendError::Overloaded => ("overloaded", None),
        AppendError::Unavailable(_) => ("unavailable", None),
        AppendError::Invalid(reason) => {
            eprintln!("invalid: {reason}");
            ("invalid", None)
        }
        // Also what later versions may add: the least that can be said.
        _ => return Outcome::Unknown { why: "unknown" },
    };
    Outcome::Refused { why, position }
}

impl Intent {
    /// `ids` new events for a stream.
    pub(crate) fn append(stream: String, expected: Option<i64>, count: usize) -> Self {
        let new_v7 = stanchion::runtime::id::new_v7;
        Self {
            token: new_v7(),
            how: How::Append,
            stream: Some(stream),
            expected,
            count,
            ids: (0..count).map(|_| new_v7()).collect(),
            key: None,
            bookings: Vec::new(),
        }
    }
}
