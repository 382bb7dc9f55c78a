//! The three things that are done, in their proportions.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_load::{Caller, Failure, Scenario};

use crate::plan::{Dialect, Plan};
use crate::state::State;

type Part = (&'static str, u32, Arc<dyn Scenario>);

pub(crate) fn scenarios(plan: &Plan, state: &Arc<State>) -> [Part; 3] {
    let (dialect, state) = (plan.dialect, || Arc::clone(state));
    let [check, issue, refresh] = plan.mix;
    [
        ("check", check, Arc::new(Check(dialect, state()))),
        ("issue", issue, Arc::new(Issue(dialect, state()))),
        ("refresh", refresh, Arc::new(Refresh(dialect, state()))),
    ]
}

/// A client asks about the access token of some session.
struct Check(Dialect, Arc<State>);

/// A client gets a token of its own.
struct Issue(Dialect, Arc<State>);

/// A session's refresh token is exchanged for the next one.
struct Refresh(Dialect, Arc<State>);

#[async_trait]
impl Scenario for Check {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let Self(dialect, state) = self;
        let session = state.session(&mut caller.dice);
        let request = dialect.check(state.client(&mut caller.dice), &session);
        let answer = caller.connection.send(&request).await?;
        match dialect.checked(&answer)? {
            true => Ok(()),
            false => Err(Failure::Unexpected("a good token was refused")),
        }
    }
}

#[async_trait]
impl Scenario for Issue {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let Self(dialect, state) = self;
        let request = dialect.issue(state.client(&mut caller.dice));
        let answer = caller.connection.send(&request).await?;
        dialect.issued(answer).map(drop)
    }
}

#[async_trait]
impl Scenario for Refresh {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let Self(dialect, state) = self;
        // Taken for good unless it is answered: a token whose fate is unknown would look like a theft.
        let family = state.take();
        let family = family.ok_or(Failure::Unexpected("every family is under way or lost"))?;
        let session = state.of(family.slot);
        let request = dialect.refresh(&session.client, &family.refresh);
        let answer = caller.connection.send(&request).await?;
        state.rotated(&family, dialect.refreshed(answer)?);
        Ok(())
    }
}
