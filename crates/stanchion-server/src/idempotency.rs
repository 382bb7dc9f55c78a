//! Requests that may be repeated: claimed before the handler, answered from the inbox after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use stanchion_auth::Principal;
use stanchion_messaging::{Claim, Claimed, Inbox, InboxEntry, InboxKey};
use stanchion_runtime::task;
use uuid::Uuid;

use crate::answer::{Outcome, StoredAnswer, Success};
use crate::context::Context;
use crate::describe::{Describe, Description};
use crate::{Answer, Problem, codes};

/// How much longer than the request's deadline a claim lives.
const CLAIM_SPARE: Duration = Duration::from_secs(5);

/// An append that took the claim's row along has been queued, and is through, at the latest so long after its caller
/// left: the default of `append_wait` and a second. Given back earlier the claim would be taken from a write that goes on.
const QUEUED_WRITE_MAX: Duration = Duration::from_secs(6);

/// The longest key.
const KEY_BYTES_MAX: usize = 255;

const HEADER: &str = "idempotency-key";

/// What an operation does with `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyRule {
    /// It must be sent: 400 `IDEMPOTENCY_KEY_REQUIRED` otherwise.
    Required,
    /// It may be sent; the default of an authenticated `POST`.
    Accepted,
    /// It means nothing; the default of everything else.
    Ignored,
}

/// The claim on this request, for handlers whose effect commits in a store.
///
/// Hand [`entry`](Self::entry) to the append or unit of work: effect and answer then commit
/// together, and a crash between them cannot happen. A handler that does not take it gets its
/// answer stored after it returned.
#[derive(Clone, Debug, Default)]
pub struct Idempotency(Option<Arc<Held>>);

#[derive(Debug)]
struct Held {
    key: InboxKey,
    owner: Uuid,
    handed_out: AtomicBool,
}

impl Idempotency {
    /// The inbox row to commit with the effect, answering a repeat with `answer`; `None` without a key.
    ///
    /// What is kept of the answer: status, location, ETag and data.
    pub fn entry<T: Serialize>(&self, answer: &Answer<T>) -> Option<InboxEntry> {
        let held = self.0.as_ref()?;
        let stored = answer.stored().map(StoredAnswer::Success);
        let stored =
            stored.inspect_err(|error| tracing::error!(%error, "an answer does not serialise"));
        held.handed_out.store(true, Ordering::Relaxed);
        Some(InboxEntry {
            key: held.key.clone(),
            owner: Some(held.owner),
            answer: stored.ok().map(|stored| stored.bytes()),
        })
    }

    /// Whether the request carries a key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }
}

impl<S: Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Describe for Idempotency {}

pub(crate) fn describe(rule: IdempotencyRule, description: &mut Description) {
    if rule == IdempotencyRule::Ignored {
        return;
    }
    let required = rule == IdempotencyRule::Required;
    let schema = json!({
        "type": "string", "minLength": 1, "maxLength": KEY_BYTES_MAX, "pattern": "^[!-~]+$",
        "examples": ["4f3c1d0e-place-order"],
    });
    let about =
        "Makes the request safe to repeat for 24 hours: the same key and body get the same answer.";
    description.header("Idempotency-Key", required, about, schema);
    description.code(codes::INVALID_PARAMETER);
    description.code(codes::REQUEST_IN_PROGRESS);
    description.code(codes::IDEMPOTENCY_KEY_REUSED);
    if required {
        description.code(codes::IDEMPOTENCY_KEY_REQUIRED);
    }
}

/// The key a request carries, if the rule looks at it.
pub(crate) fn key(rule: IdempotencyRule, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    if rule == IdempotencyRule::Ignored {
        return Ok(None);
    }
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return match rule {
            IdempotencyRule::Required => Err(codes::IDEMPOTENCY_KEY_REQUIRED.problem()),
            _ => Ok(None),
        };
    };
    let text = value.to_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if values.next().is_some() || !printable || !(1..=KEY_BYTES_MAX).contains(&text.len()) {
        return Err(Problem::invalid_parameter(
            "Idempotency-Key",
            format!("must be one of 1 to {KEY_BYTES_MAX} printable ASCII characters"),
        ));
    }
    Ok(Some(text.to_owned()))
}

/// SHA-256 of all that makes a request this one.
pub(crate) fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    fingerprint_of([parts.method.as_str().as_bytes(), target.as_bytes(), body])
}

/// SHA-256 of these, told apart.
pub(crate) fn fingerprint_of<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Whose keys they are: the caller's, and apart for each user that a service acts for.
pub(crate) fn caller(principal: &Principal) -> String {
    match principal.acting_user() {
        Some(user) => format!("{}:{user}", principal.subject),
        None => principal.subject.to_string(),
    }
}

/// Serves a request under a claim on its key, or answers as it was answered before.
pub(crate) async fn once<F: Future<Output = Outcome>>(
    inbox: Arc<dyn Inbox>,
    key: InboxKey,
    fingerprint: [u8; 32],
    context: &Arc<Context>,
    serve: impl FnOnce(Idempotency) -> F,
) -> Outcome {
    // Claimed and finished in tasks of their own: a client that goes away meanwhile must not
    // leave the claim to its expiry. A guard that nobody takes gives its claim back.
    let claim = claim(inbox, key, fingerprint, context.clone());
    let guard = match task::spawn("claim", claim).await {
        Ok(Claiming::Held(guard)) => guard,
        Ok(Claiming::Settled(outcome)) => return outcome,
        Err(failed) => return Outcome::Problem(Problem::internal(failed)),
    };
    let outcome = match serve(guard.argument()).await {
        Outcome::Problem(mut problem) => match problem.take_replay() {
            Some(kept) => replay(&kept.answer, kept.position, context),
            None => Outcome::Problem(problem),
        },
        outcome => outcome,
    };
    let finishing = task::spawn("finish-claim", guard.finish(&outcome));
    if let Err(failed) = finishing.await {
        tracing::error!(%failed, "a claim stays until it expires");
    }
    outcome
}

/// A claim that was asked for.
enum Claiming {
    /// The request is ours to serve.
    Held(Guard),
    /// It was served before, or cannot be served now.
    Settled(Outcome),
}

/// A claim that is ours; dropped unfinished (the client went away), it is given back, unless a write goes on with it.
struct Guard {
    inbox: Arc<dyn Inbox>,
    held: Arc<Held>,
    finished: bool,
}

/// Claims the key for this request.
async fn claim(
    inbox: Arc<dyn Inbox>,
    key: InboxKey,
    fingerprint: [u8; 32],
    context: Arc<Context>,
) -> Claiming {
    let now = stanchion_runtime::clock::now();
    let life = context.remaining().unwrap_or_default() + CLAIM_SPARE;
    let claim = Claim {
        key,
        fingerprint,
        owner: stanchion_runtime::id::new_v7(),
        now,
        expires_at: now + life,
    };
    let settled = match inbox.claim(&claim).await {
        Ok(Claimed::Fresh) => {
            let held = Held {
                key: claim.key,
                owner: claim.owner,
                handed_out: AtomicBool::new(false),
            };
            return Claiming::Held(Guard {
                inbox,
                held: Arc::new(held),
                finished: false,
            });
        }
        Ok(Claimed::Running) => Outcome::Problem(
            codes::REQUEST_IN_PROGRESS
                .problem()
                .retry_after(Duration::from_secs(1)),
        ),
        Ok(Claimed::Reused) => Outcome::Problem(codes::IDEMPOTENCY_KEY_REUSED.problem()),
        Ok(Claimed::Answered { answer, position }) => replay(&answer, position, &context),
        Err(error) => Outcome::Problem(Problem::unavailable(error)),
    };
    Claiming::Settled(settled)
}

/// The answer given then, with fresh meta.
fn replay(
    bytes: &[u8],
    position: Option<stanchion_messaging::Position>,
    context: &Context,
) -> Outcome {
    match serde_json::from_slice::<StoredAnswer>(bytes) {
        Ok(StoredAnswer::Success(stored)) => {
            let log = context.module.get().and_then(|module| module.log);
            let consistency = log.zip(position);
            Outcome::Success(Success {
                consistency,
                replayed: true,
                ..Success::of(stored)
            })
        }
        Ok(StoredAnswer::Problem(stored)) => {
            let replayed = http::HeaderName::from_static("idempotent-replayed");
            let problem = Problem::from(stored);
            Outcome::Problem(problem.header(replayed, http::HeaderValue::from_static("true")))
        }
        Err(error) => Outcome::Problem(Problem::internal(error)),
    }
}

impl Guard {
    /// What the handler's `Idempotency` argument is.
    fn argument(&self) -> Idempotency {
        Idempotency(Some(self.held.clone()))
    }

    /// Keeps the answer for repeats if it is of the kind that is kept, else gives the claim back.
    fn finish(mut self, outcome: &Outcome) -> impl Future<Output = ()> + Send + use<> {
        self.finished = true;
        let kept = self.kept(outcome);
        async move {
            let (key, owner) = (&self.held.key, self.held.owner);
            let result = match kept {
                Kept::Already => return,
                Kept::Answer(answer) => self
                    .inbox
                    .complete(key, owner, &answer.bytes())
                    .await
                    .map(|_| ()),
                Kept::Nothing => self.inbox.release(key, owner).await,
            };
            if let Err(error) = result {
                tracing::warn!(%error, %key, "a claim stays until it expires");
            }
        }
    }

    fn kept(&self, outcome: &Outcome) -> Kept {
        match outcome {
            // The row that was handed out committed with the effect.
            Outcome::Success(_) if self.held.handed_out.load(Ordering::Relaxed) => Kept::Already,
            Outcome::Success(success) => {
                Kept::Answer(StoredAnswer::Success(success.stored.clone()))
            }
            Outcome::Problem(problem) if problem.is_kept() => {
                Kept::Answer(StoredAnswer::Problem(problem.stored()))
            }
            Outcome::Problem(_) | Outcome::Rejected(_) | Outcome::Raw(_) => Kept::Nothing,
        }
    }
}

/// What is done with an answer.
enum Kept {
    Already,
    Answer(StoredAnswer),
    Nothing,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let (inbox, held) = (self.inbox.clone(), self.held.clone());
        task::spawn("release-claim", async move {
            if held.handed_out.load(Ordering::Relaxed) {
                tokio::time::sleep(QUEUED_WRITE_MAX).await;
            }
            // What was answered meanwhile stays.
            if let Err(error) = inbox.release(&held.key, held.owner).await {
                tracing::warn!(%error, key = %held.key, "a claim stays until it expires");
            }
        });
    }
}
