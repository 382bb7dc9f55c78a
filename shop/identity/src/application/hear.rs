use std::time::Duration;

use shop_kernel::UserId;
use stanchion::eventsourcing::{EventLog, Filter, Position, Recorded};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Identity;
use crate::domain::event::SIGNING_KEYS;
use crate::domain::{ClientId, Event, SessionId};

/// How often the log is asked for its end, told of anything or not: a quarter of the second that a revocation may take.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The least time between two looks at a log that grows all the time.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(5);

/// Entries that are read at once.
const PAGE: usize = 500;

/// What this process has heard, and what it has still to do about it.
#[derive(Debug, Default)]
struct Heard {
    /// Where in the log it has heard everything up to.
    place: Option<Place>,
    /// Other signing keys count by now than those that are used here.
    keys_are_old: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    after: Position,
    incarnation: u64,
}

impl Identity {
    /// Follows identity's log, in which every process records whatever it revokes, and forgets what is remembered of it;
    /// and reads the signing keys again when somebody has turned them.
    ///
    /// A notification makes that a matter of milliseconds. Without one the log is asked for its end every 250 ms; when
    /// that fails as well, nothing that was heard before counts after a second, and [`LiveSessions`] asks the store.
    pub(crate) async fn hear(&self, log: &dyn EventLog, stop: CancellationToken) {
        let mut grown = log.changes();
        let mut asking = interval(ASK_EVERY);
        asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Heard::default();
        loop {
            let at_end = tokio::select! {
                () = stop.cancelled() => return,
                _ = asking.tick() => true,
                changed = grown.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(LOOK_EVERY_MIN).await;
                    false
                }
            };
            let looked = if at_end {
                self.look_up(log, &mut heard).await
            } else {
                grown.mark_unchanged();
                self.look(log, &mut heard).await
            };
            if let Err(error) = looked {
                tracing::debug!(%error, "what was revoked elsewhere is not heard of for now");
            }
            self.count_remembered();
        }
    }

    fn count_remembered(&self) {
        self.counts.hears(self.live.hears());
        let (sessions, keys) = (&self.live, &self.live_keys);
        let ring = self.tokens.ring();
        let counted = [
            ("sessions", sessions.len(), sessions.entries_max()),
            ("api_keys", keys.len(), keys.entries_max()),
            ("signatures", ring.remembered(), ring.remembered_max()),
        ];
        for (what, count, max) in counted.into_iter().chain(self.oauth.remembered()) {
            self.counts.remembers(what, count, max);
        }
    }

    /// Reads to the end that the log has now, and says so.
    async fn look_up(&self, log: &dyn EventLog, heard: &mut Heard) -> Result<(), String> {
        let asked_at = Instant::now();
        let incarnation = log.incarnation();
        let head = log.head().await.map_err(|error| error.to_string())?;
        let is_known = |place: Place| place.incarnation == incarnation && place.after <= head;
        if !heard.place.is_some_and(is_known) {
            // Nothing is known of what was revoked before this place.
            let after = head;
            heard.place = Some(Place { after, incarnation });
            heard.keys_are_old = true;
            self.live.forget_all();
            self.oauth.forget_all();
        }
        self.look(log, heard).await?;
        self.live.heard(asked_at);
        Ok(())
    }

    /// Reads what came since, and does what is to be done about it.
    async fn look(&self, log: &dyn EventLog, heard: &mut Heard) -> Result<(), String> {
        let Some(place) = &mut heard.place else {
            return Ok(());
        };
        loop {
            let page = log.read(place.after, &Filter::all(), PAGE).await;
            let page = page.map_err(|error| error.to_string())?;
            for entry in &page {
                heard.keys_are_old |= entry.stream.category() == SIGNING_KEYS;
                self.take_back(entry);
            }
            if let Some(last) = page.last() {
                place.after = last.position;
            }
            if page.len() < PAGE {
                break;
            }
        }
        // Until that is done nothing was heard: a key that has leaked must not count for longer than a session.
        if heard.keys_are_old {
            let reread = self.reread_keys().await;
            reread.map_err(|error| error.to_string())?;
            heard.keys_are_old = false;
        }
        Ok(())
    }

    /// What is not known to take nothing from anybody counts as a revocation: a newer process may record other kinds.
    fn take_back(&self, entry: &Recorded) {
        let Ok(id) = entry.stream.id().parse::<Uuid>() else {
            return;
        };
        let (live, oauth) = (&self.live, &self.oauth);
        match (entry.stream.category(), entry.kind.as_str()) {
            (
                "user",
                "user_registered" | "user_updated" | "consent_given" | "verification_asked"
                | "email_verified",
            )
            | ("session", "session_started") => {}
            ("session", _) => live.forget(&[SessionId(id)]),
            ("user", _) => live.forget_user(UserId(id)),
            ("client", "client_token_revoked") => match entry.decode::<Event>() {
                Ok(Event::ClientTokenRevoked { token_id, .. }) => oauth.note_void(token_id),
                _ => oauth.forget_all(),
            },
            ("client", kind) => {
                oauth.forget_client(ClientId(id));
                // Nobody has a session of a new one.
                if kind != "client_registered" {
                    live.forget_client(ClientId(id));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use secrecy::ExposeSecret;
    use stanchion::auth::key::OperatedKeys;
    use stanchion::auth::key::rotation::Haste;
    use stanchion::auth::token::ACCESS_TTL;
    use stanchion::eventsourcing::Metadata;
    use stanchion::runtime::{id, task};

    use super::*;
    use crate::application::answers::REVOKED_WITHIN;
    use crate::application::work::Work;
    use crate::domain::{ClientPlan, Flow, RegisteredClient, SessionEnd};
    use crate::testing::{Store, standing};

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn hearing(store: &Store, stop: &CancellationToken) -> Arc<Identity> {
        let (identity, log) = (store.identity(ACCESS_TTL).await, store.log().await);
        let (hears, stop) = (Arc::clone(&identity), stop.clone());
        drop(task::spawn("hear", async move {
            hears.hear(log.as_ref(), stop).await;
        }));
        until("it hears", || identity.live.hears()).await;
        identity
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn record(identity: &Identity, event: Event) {
        let metadata = Metadata::new(None);
        let mut work = Work::begin(&identity.db, &metadata);
        work.record(&event).unwrap();
        work.commit().await.unwrap();
    }

    fn remembered(
        identity: &Identity,
        standing: &crate::application::ports::Standing,
    ) -> SessionId {
        let session = SessionId(id::new_v7());
        let question = identity.live.ask();
        identity
            .live
            .remember(question, session, Some(standing.clone()));
        session
    }

    #[tokio::test]
    async fn what_takes_nothing_from_a_user_makes_nobody_ask_the_store_again() {
        let (store, stop) = (Store::memory().await, CancellationToken::new());
        let identity = hearing(&store, &stop).await;
        let who = standing();
        let (user_id, session) = (who.user, remembered(&identity, &who));
        for event in [
            Event::ConsentGiven {
                user_id,
                client_id: ClientId(id::new_v7()),
                scopes: "openid".into(),
            },
            Event::VerificationAsked { user_id },
            Event::EmailVerified { user_id },
        ] {
            record(&identity, event).await;
        }
        // What ends after them was heard after them.
        let other = standing();
        let session_id = remembered(&identity, &other);
        record(
            &identity,
            Event::SessionEnded {
                session_id,
                user_id: other.user,
                reason: SessionEnd::LoggedOut,
            },
        )
        .await;
        until("an end is heard", || {
            identity.live.get(session_id).is_none()
        })
        .await;
        assert_eq!(identity.live.get(session), Some(Some(who)));
        record(&identity, Event::PasswordChanged { user_id }).await;
        until("it is taken back", || identity.live.get(session).is_none()).await;
        stop.cancel();
    }

    async fn robot(identity: &Identity) -> RegisteredClient {
        let plan = ClientPlan {
            name: "Robot".into(),
            confidential: true,
            redirect_uris: Vec::new(),
            flows: BTreeSet::from([Flow::ClientCredentials]),
            scopes: "order:read".parse().unwrap(),
            resource_server: false,
        };
        let registered = identity.register_client(plan, &Metadata::new(None)).await;
        registered.unwrap().0
    }

    /// It would be remembered for a minute.
    #[tokio::test]
    async fn e14_what_a_client_gives_back_or_has_done_to_it_elsewhere_is_heard() {
        let (store, stop) = (Store::memory().await, CancellationToken::new());
        let other = hearing(&store, &stop).await;
        let one = store.identity(ACCESS_TTL).await;
        let (client, metadata) = (robot(&one).await, Metadata::new(None));
        let token = || {
            let issued = one.issue_to_client(&client, None).unwrap();
            issued.access.expose_secret().to_owned()
        };
        let (kept, given_back) = (token(), token());
        let counts = async |token: &str| other.introspect(&client, token).await.unwrap().is_some();
        assert!(counts(&kept).await && counts(&given_back).await);
        let revoked = one.revoke_token(&client, &given_back, None, &metadata);
        assert!(revoked.await.is_ok());
        let begun = Instant::now();
        while counts(&given_back).await {
            assert!(begun.elapsed() < REVOKED_WITHIN, "it was given back");
            sleep(Duration::from_millis(5)).await;
        }
        assert!(counts(&kept).await && other.live.hears());
        let disabled = one.set_client_enabled(client.id, false, &metadata);
        disabled.await.unwrap();
        let begun = Instant::now();
        while counts(&kept).await {
            assert!(begun.elapsed() < REVOKED_WITHIN, "its client is disabled");
            sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn a_key_that_has_leaked_counts_nowhere_a_moment_later() {
        let (store, stop) = (Store::memory().await, CancellationToken::new());
        let other = hearing(&store, &stop).await;
        let one = store.identity(ACCESS_TTL).await;
        let leaked = one.tokens.ring().signing().unwrap().kid().to_owned();
        assert!(other.tokens.ring().verifying(&leaked).is_some());
        one.rotate(Haste::Leaked).await.unwrap();
        let begun = Instant::now();
        until("it is gone", || {
            other.tokens.ring().verifying(&leaked).is_none()
        })
        .await;
        let took = begun.elapsed();
        println!("it took {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        stop.cancel();
    }
}
