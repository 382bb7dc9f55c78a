//! An attempt at a message, and putting it aside when it fails.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tracing::{Instrument, info, info_span, warn};

use super::waits::KEYS_MAX;
use super::{Consumer, HandlerError};
use crate::{AfterLastAttempt, Message, Parked, ParkedNote, ParkedState};

/// Under this no other message's key is: what is in doubt makes nobody wait, and waits for nobody.
const DOUBTFUL: &str = "stanchion.doubtful/";

const DOUBT: &str = "announced before, and so long ago that the inbox may have forgotten it: redrive it here if it had no \
                     effect, discard it if it had";

const GIVEN_UP: &str = "delivered again and again without an end: its handling may be what ended its processes, or that of one \
                        that it came with; redrive it here if it is harmless";

const NEVER_ENDED: &str = "its last attempt ended with its process: its handling may be what ended that, or that of another one that \
                           was tried then; redrive it here if it is harmless";

const WAITS_BEHIND: &str = "waits behind an earlier message of its key";

/// After the words of the note.
const SUSPECTED: &str = "processes ended again and again when this was among what came next";

/// A repeat that may have had its effect: an operator decides.
pub(super) fn doubtful(mut message: Message) -> Message {
    message.key = format!("{DOUBTFUL}{}", message.id);
    message
}

impl Consumer {
    /// Which of these keys have parked messages.
    pub(super) async fn blocked(&self, keys: &[String]) -> Result<HashSet<String>, String> {
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let after = self.limits.after_last_attempt;
        let blocked = self.store.blocked(self.name, &keys, after).await;
        let blocked = blocked.map_err(|error| error.to_string())?;
        Ok(blocked.into_iter().collect())
    }

    /// All keys that have parked messages, if they are few.
    pub(super) async fn parked_keys(&self) -> Result<Option<HashSet<String>>, String> {
        let keys = self.store.parked_keys(self.name, KEYS_MAX).await;
        let keys = keys.map_err(|error| error.to_string())?;
        Ok(keys.map(|keys| keys.into_iter().collect()))
    }

    /// The first attempt, unless it is given up; whether later messages of its key wait behind it now.
    pub(super) async fn attempt_first(
        &self,
        message: Message,
        given_up: bool,
    ) -> Result<bool, String> {
        let goes_on = self.limits.after_last_attempt == AfterLastAttempt::KeyGoesOn;
        if message.key.starts_with(DOUBTFUL) {
            self.park_dead(message, "doubtful", DOUBT).await?;
            return Ok(false);
        }
        if !self.handlers.contains_key(message.contract.as_str()) {
            self.park_unknown(message, None).await?;
            return Ok(true);
        }
        if given_up {
            self.park_dead(message, "given_up", GIVEN_UP).await?;
            return Ok(!goes_on);
        }
        let Err(error) = self.handle(&message).await else {
            return Ok(false);
        };
        let state = self.park_failed(message, None, &error).await?;
        Ok(state != ParkedState::Dead || !goes_on)
    }

    /// One attempt, in the trace of the message's cause; a panic is a failure like any other.
    pub(super) async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let Some(handler) = self.handlers.get(message.contract.as_str()) else {
            return Err(HandlerError::Rejected(format!(
                "no handler for {}",
                message.contract
            )));
        };
        let span = info_span!(
            "consume",
            otel.kind = "consumer",
            consumer = self.name,
            contract = message.contract,
            message_id = %message.id,
        );
        if let Some(trace) = message
            .metadata
            .trace
            .as_deref()
            .and_then(|text| text.parse().ok())
        {
            stanchion_telemetry::trace::continue_from(&span, &trace);
        }
        let handling = async { handler(message.clone(), self.name).await };
        let handling = AssertUnwindSafe(handling).catch_unwind().instrument(span);
        let result = match tokio::time::timeout(self.limits.handler_timeout, handling).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(HandlerError::Failed("the handler panicked".into())),
            Err(_elapsed) => Err(HandlerError::Failed(format!(
                "the handler took longer than {:?}",
                self.limits.handler_timeout
            ))),
        };
        self.count(if result.is_ok() { "handled" } else { "failed" });
        result
    }

    /// Puts aside what a newer version of the consumer may have a handler for.
    pub(super) async fn park_unknown(
        &self,
        message: Message,
        before: Option<&Parked>,
    ) -> Result<(), String> {
        let now = stanchion_runtime::clock::now();
        self.count("unknown");
        warn!(consumer = self.name, message_id = %message.id, contract = message.contract, "no handler for a contract: its messages wait for an upgrade");
        let parked = Parked {
            consumer: self.name.to_owned(),
            reason: format!("no handler for {}", message.contract),
            message,
            state: ParkedState::Unknown,
            attempts: before.map_or(0, |parked| parked.attempts),
            under_way: false,
            note: before.and_then(|parked| parked.note),
            due_at: now,
            parked_at: now,
        };
        self.put_aside(&parked, before).await.map(drop)
    }

    /// A dead letter without an attempt, unless it is parked already.
    async fn park_dead(
        &self,
        message: Message,
        outcome: &'static str,
        reason: &str,
    ) -> Result<(), String> {
        let now = stanchion_runtime::clock::now();
        self.count(outcome);
        warn!(consumer = self.name, message_id = %message.id, contract = message.contract, "{reason}");
        let parked = Parked {
            consumer: self.name.to_owned(),
            message,
            state: ParkedState::Dead,
            attempts: 0,
            under_way: false,
            note: None,
            due_at: now,
            reason: reason.into(),
            parked_at: now,
        };
        let put = self.store.wait_behind(&parked).await;
        put.map_err(|error| error.to_string())
    }

    pub(super) async fn park_behind(&self, message: Message) -> Result<(), String> {
        let now = stanchion_runtime::clock::now();
        let is_suspect = self.is_suspect(&message);
        let note = is_suspect.then_some(ParkedNote::Suspect);
        let reason = match note {
            Some(note) => {
                self.count("suspect");
                format!("{}: {SUSPECTED}", note.words())
            }
            None => WAITS_BEHIND.to_owned(),
        };
        let parked = Parked {
            consumer: self.name.to_owned(),
            message,
            state: ParkedState::Retry,
            attempts: 0,
            under_way: false,
            note,
            due_at: now,
            reason,
            parked_at: now,
        };
        self.store
            .wait_behind(&parked)
            .await
            .map_err(|error| error.to_string())
    }

    /// Counts another attempt before it begins, for it may end its process, and says when it is due again then; false, and
    /// nothing is counted, if there is to be none: somebody else has dealt with it, or it had its last one and is dead now.
    pub(super) async fn begin(&self, parked: &Parked) -> Result<bool, String> {
        if parked.attempts >= self.limits.attempts_max.max(1) {
            self.park_tried_out(parked).await?;
            return Ok(false);
        }
        let attempts = parked.attempts + 1;
        let begun = Parked {
            state: ParkedState::Retry,
            attempts,
            under_way: true,
            due_at: self.tried_anew_at(attempts),
            ..parked.clone()
        };
        self.put_aside(&begun, Some(parked)).await
    }

    /// Puts back as they were the retries that a failure of the store or a stop cut short here, of which none ended its
    /// process. What somebody else has tried since stays.
    pub(super) async fn take_back(&self) -> Result<(), String> {
        let cut_short: Vec<Arc<Parked>> = self.under_way.lock().values().cloned().collect();
        for before in &cut_short {
            let before = before.as_ref();
            let id = before.message.id;
            let found = self.store.find(id).await;
            let found = found.map_err(|error| error.to_string())?;
            let is_as_left = |row: &Parked| {
                let is_own = row.consumer == self.name && row.under_way;
                is_own && row.state == ParkedState::Retry && row.attempts == before.attempts + 1
            };
            if found.iter().any(is_as_left) {
                self.put_aside(before, Some(before)).await?;
            }
            self.under_way.lock().remove(&id);
        }
        Ok(())
    }

    /// A dead letter after its last attempt, of which nobody has told how it ended.
    async fn park_tried_out(&self, parked: &Parked) -> Result<(), String> {
        let reason = match parked.under_way {
            true => NEVER_ENDED,
            // Fewer attempts are allowed than before.
            false => parked.reason.as_str(),
        };
        let (message_id, attempts) = (parked.message.id, parked.attempts);
        let dead = Parked {
            state: ParkedState::Dead,
            under_way: false,
            due_at: stanchion_runtime::clock::now(),
            reason: reason.into(),
            ..parked.clone()
        };
        if self.put_aside(&dead, Some(parked)).await? {
            self.count("dead");
            tracing::error!(consumer = self.name, %message_id, attempts, reason, "dead letter");
        }
        Ok(())
    }

    /// Puts a failed message aside, for another attempt or as a dead letter.
    pub(super) async fn park_failed(
        &self,
        message: Message,
        before: Option<&Parked>,
        error: &HandlerError,
    ) -> Result<ParkedState, String> {
        let attempts_before = before.map_or(0, |parked| parked.attempts);
        let (state, attempts) = self.verdict(attempts_before, error);
        let now = stanchion_runtime::clock::now();
        let wait = match error {
            HandlerError::Later(_) => self.patience(before, now),
            _ => self.backoff(attempts.max(1)),
        };
        let parked = Parked {
            consumer: self.name.to_owned(),
            message,
            state,
            attempts,
            under_way: false,
            note: before.and_then(|parked| parked.note),
            // A dead letter waits from now on for an operator, however long it was tried before.
            due_at: if state == ParkedState::Dead {
                now
            } else {
                now + wait
            },
            reason: error.to_string(),
            parked_at: now,
        };
        let id = parked.message.id;
        if !self.put_aside(&parked, before).await? {
            info!(consumer = self.name, message_id = %id, reason = %error, "a retry failed of what somebody else has dealt with");
        } else if state == ParkedState::Dead {
            self.count("dead");
            tracing::error!(consumer = self.name, message_id = %id, attempts, reason = %error, "dead letter");
        } else {
            warn!(consumer = self.name, message_id = %id, attempts, reason = %error, "message will be retried");
        }
        Ok(state)
    }

    /// Whether it is parked now. After a retry only a row that is still there is written: two members may have tried the same
    /// one, and what the other has dealt with is no dead letter.
    async fn put_aside(&self, parked: &Parked, before: Option<&Parked>) -> Result<bool, String> {
        let put = match before {
            None => self.store.park(parked).await.map(|()| true),
            Some(_) => self.store.park_again(parked).await,
        };
        put.map_err(|error| error.to_string())
    }

    fn verdict(&self, attempts_before: u32, error: &HandlerError) -> (ParkedState, u32) {
        match error {
            HandlerError::Later(_) => (ParkedState::Retry, attempts_before),
            HandlerError::Rejected(_) => (ParkedState::Dead, attempts_before + 1),
            HandlerError::Failed(_) if attempts_before + 1 >= self.limits.attempts_max => {
                (ParkedState::Dead, attempts_before + 1)
            }
            HandlerError::Failed(_) => (ParkedState::Retry, attempts_before + 1),
        }
    }
}
