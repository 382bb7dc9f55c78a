use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shop_kernel::UserId;
use tokio::time::Instant;

use super::answers::{Answers, Question, REVOKED_WITHIN};
use super::ports::Standing;
use crate::domain::{ClientId, SessionId};

/// How long an answer counts at most while all revocations are heard of: for what is written past the rules.
const KEPT_MAX: Duration = Duration::from_secs(60);

/// The most sessions that are remembered, about 200 bytes each and what a client was granted.
const ENTRIES_MAX: usize = 50_000;

/// What the store said of sessions, so that not every request has to ask it.
///
/// An answer counts for a second from when it was asked for. While this process [hears](Self::heard) of every revocation it
/// counts for a minute, and still no revocation counts later than a second after it: what is heard takes the answer back, and
/// when nothing was heard for a second (not even that there is nothing) the first rule is the only one again.
///
/// Only access tokens are checked against it; refreshing never is.
#[derive(Debug)]
pub(crate) struct LiveSessions {
    /// `None`: there is no such session, it has ended, or its user or client is not active.
    answers: Answers<SessionId, Option<Standing>>,
    begun: Instant,
    /// Milliseconds after `begun`, and one: everything revoked before then is forgotten here. 0: nothing was heard yet.
    heard: AtomicU64,
}

impl Default for LiveSessions {
    fn default() -> Self {
        Self {
            answers: Answers::at_most(ENTRIES_MAX),
            begun: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }
}

impl LiveSessions {
    /// What is known of a session, if that still counts.
    pub(crate) fn get(&self, session: SessionId) -> Option<Option<Standing>> {
        self.answers.get_within(session, self.counts_for())
    }

    /// How long an answer counts now, from when it was asked for.
    pub(crate) fn counts_for(&self) -> Duration {
        if self.hears() {
            KEPT_MAX
        } else {
            REVOKED_WITHIN
        }
    }

    /// What was known of a session at last, however old: for when nobody can be asked.
    pub(crate) fn last_known(&self, session: SessionId) -> Option<Option<Standing>> {
        self.answers.last_known(session)
    }

    pub(crate) fn ask(&self) -> Question {
        self.answers.ask()
    }

    pub(crate) fn remember(
        &self,
        question: Question,
        session: SessionId,
        standing: Option<Standing>,
    ) {
        self.answers
            .remember_unless(question, session, standing, is_newer);
    }

    pub(crate) fn forget(&self, sessions: &[SessionId]) {
        self.answers.forget(sessions);
    }

    pub(crate) fn forget_user(&self, user: UserId) {
        let is_of = |standing: &Standing| standing.user == user;
        self.answers
            .forget_where(|known| known.as_ref().is_some_and(is_of));
    }

    /// Sessions that count for nothing are forgotten too: those of a client that is enabled again count.
    pub(crate) fn forget_client(&self, client: ClientId) {
        let is_of = |standing: &Standing| standing.is_of(client);
        self.answers
            .forget_where(|known| known.as_ref().is_none_or(is_of));
    }

    /// For when it is not known what was revoked.
    pub(crate) fn forget_all(&self) {
        self.answers.forget_all();
    }

    /// Says that whatever was revoked before `at` is forgotten.
    pub(crate) fn heard(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.begun).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX - 1);
        self.heard.fetch_max(millis + 1, Ordering::AcqRel);
    }

    /// Whether all is forgotten that was revoked up to a second ago.
    pub(crate) fn hears(&self) -> bool {
        let Some(heard) = self.heard.load(Ordering::Acquire).checked_sub(1) else {
            return false;
        };
        let heard = self.begun + Duration::from_millis(heard);
        heard.elapsed() < REVOKED_WITHIN
    }

    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn entries_max(&self) -> usize {
        self.answers.entries_max()
    }
}

/// By the user's epoch: answers may come in another order than they were asked for.
fn is_newer(known: &Option<Standing>, answer: &Option<Standing>) -> bool {
    let epochs = known.as_ref().zip(answer.as_ref());
    epochs.is_some_and(|(known, answer)| known.epoch > answer.epoch)
}

#[cfg(test)]
mod tests;
