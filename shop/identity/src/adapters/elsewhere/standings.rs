//! Who stands behind sessions, as identity says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::client::{ClientError, Reason};
use stanchion::resilience::Refusal;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::ended::{ENDED_MAX, Ended};
use super::{ANSWERED_WITHIN, Client, detached, in_own_time};
use crate::application::LiveSessions;
use crate::application::ports::Standing;
use crate::domain::{Role, RoleSet, SessionId};

/// The most sessions that are asked for at once; one more is not asked for.
const ASKING_MAX: usize = 1_000;

/// Who stands behind a session; `None`: it has ended, or its user is not active.
pub(super) type Answer = Result<Option<Standing>, NoAnswer>;

/// What came of the one call that all who ask for a session wait for.
type Told = watch::Receiver<Option<Answer>>;

/// Why it is not known who stands behind a session.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Identity cannot be reached.
    #[error("identity cannot be reached: {0}")]
    Out(String),
    /// Anything else, which callers may bring about themselves: no reason to let them in.
    #[error("{0}")]
    Other(String),
}

/// What identity said of sessions, and the calls that are under way.
pub(super) struct Standings {
    client: Client,
    live: LiveSessions,
    ended: Ended<SessionId>,
    asking: Mutex<HashMap<SessionId, Told>>,
    /// What the log said last.
    is_out: AtomicBool,
}

/// A session that is being asked for. However that ends, another call may follow.
struct Asked {
    standings: Arc<Standings>,
    session: SessionId,
}

impl Standings {
    pub(super) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            live: LiveSessions::default(),
            ended: Ended::default(),
            asking: Mutex::default(),
            is_out: AtomicBool::new(false),
        })
    }

    /// As identity says, or said within the last second; while it is out, what it said before.
    pub(super) async fn of(self: &Arc<Self>, session: SessionId) -> Answer {
        if let Some(known) = self.live.get(session) {
            return Ok(known);
        }
        let mut told = self.asking(session)?;
        let heard = async {
            let ended = told.wait_for(Option::is_some).await;
            ended.ok().and_then(|answer| answer.clone())
        };
        // Without a word it ends only when the runtime does.
        let answer = in_own_time(heard).await.flatten();
        match answer {
            Some(Err(NoAnswer::Out(why))) => self.last_known(session, why),
            Some(answer) => answer,
            None => Err(NoAnswer::other("identity has not answered in time")),
        }
    }

    /// What is remembered: what, how many, and at most.
    pub(super) fn remembered(&self) -> [(&'static str, usize, usize); 2] {
        [
            ("sessions", self.live.len(), self.live.entries_max()),
            ("ended_sessions", self.ended.len(), ENDED_MAX),
        ]
    }

    fn last_known(&self, session: SessionId, why: String) -> Answer {
        if self.ended.has(&session) {
            return Ok(None);
        }
        match self.live.last_known(session) {
            Some(before) => Ok(before),
            None if self.ended.is_whole() => Err(NoAnswer::Out(why)),
            None => Err(NoAnswer::other(
                "more sessions have ended than are remembered",
            )),
        }
    }

    /// The call that is under way, or a new one. It is no part of the request that begins it: by a short deadline a
    /// client could make it fail, and choose so what is known of its session.
    fn asking(self: &Arc<Self>, session: SessionId) -> Result<Told, NoAnswer> {
        let (tell, told) = watch::channel(None);
        {
            let mut asking = self.asking.lock();
            if let Some(under_way) = asking.get(&session) {
                return Ok(under_way.clone());
            }
            if asking.len() >= ASKING_MAX {
                return Err(NoAnswer::other("too many sessions are asked for"));
            }
            asking.insert(session, told.clone());
        }
        let asked = Asked {
            standings: Arc::clone(self),
            session,
        };
        drop(detached("identity standing", asked.answer(tell)));
        Ok(told)
    }

    async fn ask(&self, session: SessionId) -> Answer {
        let question = self.live.ask();
        let answer = timeout(ANSWERED_WITHIN, self.call(session)).await;
        let answer = answer.unwrap_or_else(|_| Err(NoAnswer::other("identity takes too long")));
        self.log_changes(&answer);
        if let Ok(standing) = &answer {
            self.ended.note(session, standing.is_none());
            self.live.remember(question, session, standing.clone());
        }
        answer
    }

    async fn call(&self, session: SessionId) -> Answer {
        let request = pb::GetStandingRequest {
            session_id: session.0.to_string(),
        };
        let answer = self.client.clone().get_standing(request).await;
        let answer = answer.map_err(|status| NoAnswer::of(&status))?;
        read(answer.into_inner())
    }

    /// Once an outage, not once a request.
    fn log_changes(&self, answer: &Answer) {
        match answer {
            Ok(_) if self.is_out.swap(false, Ordering::Relaxed) => {
                tracing::info!("identity answers again");
            }
            Err(NoAnswer::Out(error)) if !self.is_out.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "identity is out: access tokens count as they are signed");
            }
            _ => {}
        }
    }
}

impl Asked {
    async fn answer(self, tell: watch::Sender<Option<Answer>>) {
        let answer = self.standings.ask(self.session).await;
        tell.send_replace(Some(answer));
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.standings.asking.lock().remove(&self.session);
    }
}

impl NoAnswer {
    pub(super) fn other(why: &str) -> Self {
        Self::Other(why.to_owned())
    }

    pub(super) fn of(status: &Status) -> Self {
        let is_out = match ClientError::of_status(status).map(ClientError::reason) {
            // Of what we refuse ourselves, the breaker alone speaks of identity; the rest, of how much is asked.
            Some(Reason::Refused(refusal)) => matches!(refusal, Refusal::BreakerOpen { .. }),
            _ => status.code() == Code::Unavailable,
        };
        if is_out {
            Self::Out(status.to_string())
        } else {
            Self::Other(status.to_string())
        }
    }
}

fn read(answer: pb::Standing) -> Answer {
    let Some(user) = answer.user_id else {
        return Ok(None);
    };
    let user = user.parse();
    let user = user.map_err(|_| NoAnswer::other("identity told a user's id that is none"))?;
    let roles = known_roles(&answer.roles);
    Ok(Some(Standing {
        user,
        roles,
        // Asked for each second, so the session's own end is heard of as any other.
        epoch: 0,
        until: Timestamp::MAX,
        last_used_at: Timestamp::MIN,
        grant: None,
    }))
}

/// A newer identity may have roles that nobody knows here: they give nothing here, and take nothing from the others.
pub(super) fn known_roles(names: &[String]) -> RoleSet {
    let named = |role: &Role| names.iter().any(|name| name == role.name());
    let known = RoleSet::new(Role::ALL.into_iter().filter(named));
    // Of roles that are all unknown, what is left is a user without any permission.
    known.unwrap_or_else(|_| RoleSet::of(Role::Customer))
}

#[cfg(test)]
mod tests;
