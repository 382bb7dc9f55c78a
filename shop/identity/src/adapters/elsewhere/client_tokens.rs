//! Whether tokens count that OAuth clients have for themselves, as identity says.

use std::sync::Arc;

use shop_contracts::grpc::identity::v1 as pb;
use stanchion::resilience::single_flight::{FlightFailed, SingleFlight};
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use super::ended::{ENDED_MAX, Ended};
use super::standings::NoAnswer;
use super::{ANSWERED_WITHIN, Client, detached, in_own_time};
use crate::application::Answers;
use crate::domain::ClientId;

/// The most tokens that are remembered, at about 50 bytes each.
const REMEMBERED_MAX: usize = 10_000;

/// What identity said of tokens within the last second, and the calls that are under way.
pub(super) struct ClientTokens {
    client: Client,
    known: Arc<Known>,
    asking: SingleFlight<Uuid, bool, NoAnswer>,
}

struct Known {
    answers: Answers<Uuid, bool>,
    /// They must not be forgotten: while identity is out, a token that nobody remembers counts.
    void: Ended<Uuid>,
}

impl ClientTokens {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::new(Known {
                answers: Answers::at_most(REMEMBERED_MAX),
                void: Ended::default(),
            }),
            asking: SingleFlight::default(),
        }
    }

    /// Whether that token of that client counts; while identity is out, as it said before.
    pub(super) async fn counts(&self, of: ClientId, token: Uuid) -> Result<bool, NoAnswer> {
        if let Some(known) = self.known.answers.get(token) {
            return Ok(known);
        }
        let (client, known) = (self.client.clone(), Arc::clone(&self.known));
        // No part of the request that begins it: whose deadline is short decides for nobody else.
        let ask = move || async move {
            let asked = detached("identity client token", ask(client, known, of, token));
            let answer = asked.await;
            answer.unwrap_or_else(|failed| Err(NoAnswer::Other(failed.to_string())))
        };
        match in_own_time(self.asking.call(token, ask)).await {
            Some(Ok(counts)) => Ok(counts),
            Some(Err(FlightFailed::Failed(why))) => match &*why {
                NoAnswer::Out(_) => self.last_known(token, &why),
                NoAnswer::Other(_) => Err((*why).clone()),
            },
            Some(Err(FlightFailed::Panicked(why))) => Err(NoAnswer::other(&why)),
            None => Err(NoAnswer::other("identity has not answered in time")),
        }
    }

    /// What is remembered: what, how many, and at most.
    pub(super) fn remembered(&self) -> [(&'static str, usize, usize); 2] {
        let Known { answers, void } = &*self.known;
        [
            ("client_tokens", answers.len(), answers.entries_max()),
            ("void_tokens", void.len(), ENDED_MAX),
        ]
    }

    fn last_known(&self, token: Uuid, why: &NoAnswer) -> Result<bool, NoAnswer> {
        let known = &self.known;
        if known.void.has(&token) {
            return Ok(false);
        }
        match known.answers.last_known(token) {
            Some(before) => Ok(before),
            None if known.void.is_whole() => Err(why.clone()),
            None => Err(NoAnswer::other("more tokens are void than are remembered")),
        }
    }
}

async fn ask(
    mut client: Client,
    known: Arc<Known>,
    of: ClientId,
    token: Uuid,
) -> Result<bool, NoAnswer> {
    let question = known.answers.ask();
    let request = pb::GetClientTokenRequest {
        client_id: of.to_string(),
        token_id: token.to_string(),
    };
    let answer = timeout(ANSWERED_WITHIN, client.get_client_token(request)).await;
    let answer = answer.map_err(|_| NoAnswer::other("identity takes too long"))?;
    let counts = match answer {
        Ok(answer) => answer.into_inner().counts,
        // An identity of before this question: until it is replaced, a token counts as it is signed.
        Err(status) if status.code() == Code::Unimplemented => true,
        Err(status) => return Err(NoAnswer::of(&status)),
    };
    known.void.note(token, !counts);
    known.answers.remember(question, token, counts);
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::id;

    use super::super::tests::{NOBODY, identity_at};
    use super::*;

    #[tokio::test]
    async fn what_was_void_stays_void_while_identity_is_out() {
        let elsewhere = identity_at(NOBODY);
        let tokens = &elsewhere.client_tokens;
        let (client, void, unknown) = (ClientId(id::new_v7()), id::new_v7(), id::new_v7());
        tokens.known.void.note(void, true);
        assert_eq!(tokens.counts(client, void).await, Ok(false));
        let answer = tokens.counts(client, unknown).await;
        assert!(matches!(answer, Err(NoAnswer::Out(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn what_was_said_a_moment_ago_is_not_asked_again() {
        let elsewhere = identity_at(NOBODY);
        let tokens = &elsewhere.client_tokens;
        let (client, token) = (ClientId(id::new_v7()), id::new_v7());
        let answers = &tokens.known.answers;
        answers.remember(answers.ask(), token, true);
        assert_eq!(tokens.counts(client, token).await, Ok(true));
        assert!(tokens.asking.is_empty());
    }
}
