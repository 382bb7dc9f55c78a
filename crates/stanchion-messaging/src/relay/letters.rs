//! What the broker takes never: rows beside the context's dead letters, until an operator decides.
//!
//! A message that is put aside is in no line: who waits for the line sees no hole there. One that an operator wants
//! announced again goes out by itself, as a message that follows nothing; those of its key that came after it were not
//! held up, and come before it. One that had been announced before says where it was then, so that a group which had it so
//! long ago that its inbox may have forgotten it does not have it again.

use stanchion_runtime::clock;
use tracing::{error, info, warn};

use super::Forwarder;
use crate::contract::is_beacon;
use crate::{
    AfterLastAttempt, Envelope, Message, Parked, ParkedNote, ParkedState, Place, Position,
    PublishError, StoreError, partition_of,
};

/// Letters announced again in one go; the others are next.
const DUE_MAX: usize = 16;

/// Whose dead letters a relay's are.
pub(super) fn owner(context: &str) -> String {
    format!("relay-{context}")
}

/// Writes the row, however long the store is away: nothing of its partition is announced before.
pub(super) async fn put_aside(relay: &Forwarder, envelope: &Envelope, reason: &str) {
    let context = relay.feed.name();
    let Envelope { message, .. } = envelope;
    if is_beacon(&message.contract) {
        return;
    }
    let (contract, position, id) = (&message.contract, message.origin.position, message.id);
    error!(context, contract, %position, message_id = %id, reason, "the broker takes a message never: dead letter of the relay");
    let is_repeat = envelope.transport != message.id;
    let note = is_repeat.then_some(ParkedNote::AnnouncedBefore);
    let letter = letter(context, message, note, reason);
    let mut failures = 0;
    loop {
        let letters = relay.store.letters();
        let written = match is_repeat {
            // A letter that is there, or wanted again, stays as it is.
            true => letters.wait_behind(&letter).await,
            false => letters.park(&letter).await,
        };
        let Err(error) = written else {
            return;
        };
        failures += 1;
        warn!(context, %error, "a message that the broker refused waits for the relay's store");
        tokio::time::sleep(relay.backoff(failures)).await;
    }
}

/// What stands in a letter. A version without notes, which may be the next to have the lease, knows a repeat by it.
fn told(note: Option<ParkedNote>, reason: &str) -> String {
    match note {
        Some(note) => format!("{}: {reason}", note.words()),
        None => reason.to_owned(),
    }
}

fn letter(context: &str, message: &Message, note: Option<ParkedNote>, reason: &str) -> Parked {
    let now = clock::now();
    Parked {
        consumer: owner(context),
        message: message.clone(),
        state: ParkedState::Dead,
        attempts: 1,
        under_way: false,
        note,
        due_at: now,
        reason: told(note, reason),
        parked_at: now,
    }
}

/// Announces those that an operator wants again; shows how many wait for one.
pub(super) async fn tend(relay: &Forwarder) -> Result<(), StoreError> {
    let (letters, owner) = (relay.store.letters(), owner(relay.feed.name()));
    let counts = letters.counts(&owner).await?;
    let of = |state| {
        let mut own = counts.iter().filter(|it| it.0 == state);
        own.next().map_or(0, |it| it.1)
    };
    if let Some(metrics) = &relay.metrics {
        metrics.aside(of(ParkedState::Dead));
    }
    if of(ParkedState::Retry) == 0 {
        return Ok(());
    }
    let after = AfterLastAttempt::KeyGoesOn;
    for due in letters.due(&owner, clock::now(), after, DUE_MAX).await? {
        match announce(relay, &due).await {
            Ok(()) => {
                info!(context = relay.feed.name(), message_id = %due.message.id, "a dead letter of the relay is announced");
                letters.resolve(&owner, due.message.id).await?;
            }
            Err(PublishError::Unavailable(_)) => break,
            Err(error) => put_back(relay, due, &error).await?,
        }
    }
    Ok(())
}

async fn put_back(
    relay: &Forwarder,
    mut letter: Parked,
    error: &PublishError,
) -> Result<(), StoreError> {
    letter.state = ParkedState::Dead;
    letter.attempts += 1;
    letter.due_at = clock::now();
    letter.reason = told(letter.note, &error.to_string());
    warn!(context = relay.feed.name(), message_id = %letter.message.id, %error, "the broker takes it still not");
    relay.store.letters().park_again(&letter).await.map(drop)
}

/// One try. It follows nothing: consumers are past its place in its line.
async fn announce(relay: &Forwarder, letter: &Parked) -> Result<(), PublishError> {
    let mut message = current(relay, &letter.message).await;
    let place = std::mem::replace(&mut message.origin.position, Position::START);
    let envelope = Envelope {
        partition: partition_of(&message.key),
        prev: match letter.note {
            Some(ParkedNote::AnnouncedBefore) => place,
            Some(ParkedNote::Suspect) | None => Position::START,
        },
        transport: stanchion_runtime::id::new_v7(),
        message,
    };
    relay.publisher.publish(&envelope).await
}

/// As its entry is announced by this version, which may have made it smaller; as it was, where the entry is not found.
async fn current(relay: &Forwarder, kept: &Message) -> Message {
    let place = Place {
        position: Position(kept.origin.position.0 - 1),
        event: None,
    };
    let page = relay.feed.read(place, 1).await.unwrap_or_default();
    let found = page.messages.into_iter().find(|it| it.id == kept.id);
    found.unwrap_or_else(|| kept.clone())
}
