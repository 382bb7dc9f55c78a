//! What an operator has done with a message that was put aside.

use stanchion_messaging::{Parked, ParkedState, StoreError};

use super::{Letter, word};
use crate::cli::{running, say};
use crate::{Service, Stopped};

/// What an operator may do with what a consumer put aside.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Redrive,
    Discard,
    Withdraw,
}

impl Change {
    async fn in_store(self, letter: &Letter<'_>) -> Result<bool, StoreError> {
        let (consumer, message) = (&letter.parked.consumer, letter.parked.message.id);
        match self {
            Self::Redrive => {
                let now = stanchion_runtime::clock::now();
                letter.store.redrive(consumer, message, now).await
            }
            Self::Discard => letter.store.discard(consumer, message).await,
            Self::Withdraw => letter.store.withdraw(consumer, message).await,
        }
    }

    /// The word of the admin port.
    fn path(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Withdraw => "withdraw",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Redrive => "due again",
            Self::Discard => "discarded",
            Self::Withdraw => "withdrawn",
        }
    }
}

/// Does it, and says so; false if it is not, or no more, what the wish is for.
///
/// An embedded store belongs to the process that has it open: that one is asked to do it.
pub(super) async fn change(
    service: &Service,
    letter: &Letter<'_>,
    wish: Change,
) -> Result<bool, Stopped> {
    let Letter { module, parked, .. } = letter;
    let message = parked.message.id.to_string();
    let done = match (wish.in_store(letter).await, &service.admin) {
        (Ok(done), _) => {
            if done && !matches!(wish, Change::Redrive) {
                eprintln!("{}", unlogged(parked));
            }
            done
        }
        (Err(error), None) => return Err(Stopped::failed(error)),
        (Err(error), Some(admin)) => {
            let path = [
                "dead-letters",
                module.name,
                &parked.consumer,
                &message,
                wish.path(),
            ];
            running::post(admin, &path).await.map_err(|nobody| {
                Stopped::Failed(format!(
                    "the letter cannot be changed: {nobody}; and without it: {error}. Start the service, or give its admin.listen and admin.token"
                ))
            })?
        }
    };
    if done {
        say(format_args!(
            "{}: {message} of {}",
            wish.done(),
            parked.consumer
        ))?;
    }
    Ok(done)
}

/// What the admin port would have logged: done in the store itself, this is all that tells of it.
fn unlogged(parked: &Parked) -> String {
    format!(
        "done in the store itself, it leaves no audit event; keep this: {}, {}, parked since {}: {}",
        parked.message.contract,
        word(parked.state),
        parked.parked_at,
        parked.reason
    )
}

/// Why nothing was changed.
pub(super) fn unchanged(parked: &Parked, wish: Change) -> String {
    let (message, consumer) = (parked.message.id, &parked.consumer);
    match parked.state {
        ParkedState::Retry if parked.under_way => format!(
            "{message} of {consumer} is no dead letter now: {}, and then it is tried again at {}",
            Parked::UNDER_WAY,
            parked.due_at
        ),
        ParkedState::Retry => format!(
            "{message} of {consumer} is no dead letter now: it is tried again at {}; `withdraw` gives it up",
            parked.due_at
        ),
        ParkedState::Unknown => format!(
            "{message} of {consumer} is no dead letter: it waits for a version of the service that knows {}; `discard` gives it up",
            parked.message.contract
        ),
        ParkedState::Dead if matches!(wish, Change::Withdraw) => format!(
            "{message} of {consumer} waits for nothing: it is a dead letter; `discard` gives it up"
        ),
        ParkedState::Dead => format!(
            "{message} of {consumer} is gone meanwhile, or another service answers on the admin port"
        ),
    }
}
