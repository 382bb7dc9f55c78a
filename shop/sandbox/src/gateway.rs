//! The calls: what they change, once under an idempotency key, one at a time on an intent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_lc_rs::digest;
use parking_lot::Mutex;
use serde_json::Value;
use stanchion::sql::SqlError;
use tokio::sync::Notify;

use crate::error::GatewayError;
use crate::form::Form;
use crate::intent::{Changed, Intent};
use crate::refund::{Refund, Status as RefundStatus};
use crate::store::{Changes, KeptAnswer, Store};

/// Locks that intents share: two calls on one intent never run at the same time.
const LOCKS: usize = 64;

/// The longest idempotency key.
const KEY_CHARS_MAX: usize = 255;

/// A call that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    CreateIntent,
    Capture(String),
    Cancel(String),
    CreateRefund,
}

pub(crate) struct Gateway {
    pub(crate) store: Store,
    /// Told when there is a webhook to deliver.
    pub(crate) events: Notify,
    locks: Vec<tokio::sync::Mutex<()>>,
    in_flight: Mutex<HashSet<String>>,
}

/// An answer: a status and a body.
pub(crate) type Answer = (u16, Value);

impl Gateway {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            events: Notify::new(),
            locks: (0..LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
            in_flight: Mutex::default(),
        }
    }

    /// Makes a call: once, however often it comes with the same key.
    pub(crate) async fn call(
        &self,
        call: &Call,
        key: Option<&str>,
        path: &str,
        body: &[u8],
    ) -> Result<Answer, GatewayError> {
        let Some(key) = key else {
            return self.perform(call, body, None).await;
        };
        if key.is_empty() || key.len() > KEY_CHARS_MAX {
            return Err(GatewayError::invalid(
                "Idempotency keys have 1 to 255 characters.",
            ));
        }
        let _turn = InFlight::enter(&self.in_flight, key)?;
        let fingerprint = fingerprint(path, body);
        match self.store.answer(key).await? {
            Some(kept) if kept.fingerprint == fingerprint => Ok((kept.status, kept.body)),
            Some(_) => Err(GatewayError::key_reused()),
            None => self.perform(call, body, Some((key, fingerprint))).await,
        }
    }

    pub(crate) async fn intent(&self, id: &str) -> Result<Intent, GatewayError> {
        let missing = || GatewayError::no_such("payment_intent", id, "intent");
        self.store.intent(id).await?.ok_or_else(missing)
    }

    /// A refund; a pending one goes through when it was pending long enough.
    pub(crate) async fn refund(&self, id: &str) -> Result<Refund, GatewayError> {
        let missing = || GatewayError::no_such("refund", id, "id");
        let mut refund = self.store.refund(id).await?.ok_or_else(missing)?;
        let now = now();
        if refund.is_due(now) {
            let _turn = self.lock(&refund.intent).await;
            let intent = self.intent(&refund.intent).await?;
            refund.status = RefundStatus::Succeeded;
            let changes = Changes {
                event: refund.event(&intent),
                refund: Some(refund.clone()),
                ..Changes::default()
            };
            self.commit(changes, now).await?;
        }
        Ok(refund)
    }

    async fn perform(
        &self,
        call: &Call,
        body: &[u8],
        key: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, GatewayError> {
        let mut form = Form::parse(body)?;
        match call {
            Call::CreateIntent => {
                let changed = Intent::create(&mut form, now())?;
                form.nothing_else()?;
                self.keep(of_intent(changed), key).await
            }
            Call::Capture(id) => {
                let amount = form.amount("amount_to_capture")?;
                form.nothing_else()?;
                let _turn = self.lock(id).await;
                let changed = self.intent(id).await?.capture(amount)?;
                self.keep(of_intent(changed), key).await
            }
            Call::Cancel(id) => {
                form.optional("cancellation_reason");
                form.nothing_else()?;
                let _turn = self.lock(id).await;
                let changed = self.intent(id).await?.cancel(now())?;
                self.keep(of_intent(changed), key).await
            }
            Call::CreateRefund => self.give_back(form, key).await,
        }
    }

    async fn give_back(
        &self,
        mut form: Form,
        key: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, GatewayError> {
        let id = form.required("payment_intent")?;
        let amount = form.amount("amount")?;
        let metadata = form.metadata()?;
        form.optional("reason");
        form.nothing_else()?;
        let _turn = self.lock(&id).await;
        let mut intent = self.intent(&id).await?;
        let refund = Refund::create(&mut intent, amount, metadata, now())?;
        self.keep(of_refund(intent, refund), key).await
    }

    /// Commits what a call changed together with its answer.
    async fn keep(
        &self,
        (mut changes, answer): (Changes, Answer),
        key: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, GatewayError> {
        changes.answer = key.map(|(key, fingerprint)| KeptAnswer {
            key: key.to_owned(),
            fingerprint,
            status: answer.0,
            body: answer.1.clone(),
        });
        self.commit(changes, now()).await?;
        Ok(answer)
    }

    async fn commit(&self, changes: Changes, now: i64) -> Result<(), GatewayError> {
        match self.store.commit(changes, now).await {
            Ok(()) => {
                self.events.notify_one();
                Ok(())
            }
            // A caller that hung up left a commit under way: its answer is the one.
            Err(SqlError::Conflict(_)) => Err(GatewayError::key_in_use()),
            Err(error) => Err(error.into()),
        }
    }

    async fn lock(&self, intent: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        intent.hash(&mut hasher);
        let index = hasher.finish() % LOCKS as u64;
        self.locks[index as usize].lock().await
    }
}

fn of_intent(changed: Changed) -> (Changes, Answer) {
    let view = changed.intent.view();
    let answer = match changed.refused {
        Some(error) => (error.status, error.body()),
        None => (200, view.clone()),
    };
    let changes = Changes {
        event: Some((changed.event, view)),
        intent: Some(changed.intent),
        ..Changes::default()
    };
    (changes, answer)
}

fn of_refund(intent: Intent, refund: Refund) -> (Changes, Answer) {
    let answer = (200, refund.view());
    let changes = Changes {
        event: refund.event(&intent),
        intent: Some(intent),
        refund: Some(refund),
        ..Changes::default()
    };
    (changes, answer)
}

/// A key whose call is running.
struct InFlight<'a> {
    keys: &'a Mutex<HashSet<String>>,
    key: String,
}

impl<'a> InFlight<'a> {
    fn enter(keys: &'a Mutex<HashSet<String>>, key: &str) -> Result<Self, GatewayError> {
        if !keys.lock().insert(key.to_owned()) {
            return Err(GatewayError::key_in_use());
        }
        let key = key.to_owned();
        Ok(Self { keys, key })
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.key);
    }
}

fn fingerprint(path: &str, body: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(path.len() as u64).to_be_bytes());
    context.update(path.as_bytes());
    context.update(body);
    context.finish().as_ref().to_vec()
}

fn now() -> i64 {
    stanchion::runtime::clock::now().as_second()
}
