use std::time::Duration;

use shop_kernel::UserId;
use stanchion::eventsourcing::{EventLog, Filter, LogError, Position, Recorded};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Identity;
use super::live::LiveSessions;
use crate::domain::SessionId;

/// How often the log is asked for its end, told of anything or not: a quarter of the second that a revocation may take.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The least time between two looks at a log that grows all the time.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(5);

/// Entries that are read at once.
const PAGE: usize = 500;

/// Where in the log this process has heard everything up to.
#[derive(Clone, Copy, Debug)]
struct Place {
    after: Position,
    incarnation: u64,
}

impl Identity {
    /// Follows identity's log, in which every process records whatever it revokes, and forgets what is remembered of it.
    ///
    /// A notification makes that a matter of milliseconds. Without one the log is asked for its end every 250 ms; when
    /// that fails as well, nothing that was heard before counts after a second, and [`LiveSessions`] asks the store.
    pub(crate) async fn hear(&self, log: &dyn EventLog, stop: CancellationToken) {
        let mut grown = log.changes();
        let mut asking = interval(ASK_EVERY);
        asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut place = None;
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
                self.look_up(log, &mut place).await
            } else {
                grown.mark_unchanged();
                self.look(log, &mut place).await
            };
            if let Err(error) = looked {
                tracing::debug!(%error, "what was revoked elsewhere is not heard of for now");
            }
            self.counts.hears(self.live.hears());
            self.counts.remembers(self.live.len());
        }
    }

    /// Reads to the end that the log has now, and says so.
    async fn look_up(&self, log: &dyn EventLog, place: &mut Option<Place>) -> Result<(), LogError> {
        let asked_at = Instant::now();
        let incarnation = log.incarnation();
        let head = log.head().await?;
        let known = place.filter(|known| known.incarnation == incarnation && known.after <= head);
        if known.is_none() {
            // Nothing is known of what was revoked before this place.
            *place = Some(Place {
                after: head,
                incarnation,
            });
            self.live.forget_all();
        } else {
            self.look(log, place).await?;
        }
        self.live.heard(asked_at);
        Ok(())
    }

    /// Reads what came since.
    async fn look(&self, log: &dyn EventLog, place: &mut Option<Place>) -> Result<(), LogError> {
        let Some(place) = place else {
            return Ok(());
        };
        loop {
            let page = log.read(place.after, &Filter::all(), PAGE).await?;
            page.iter().for_each(|entry| take_back(&self.live, entry));
            if let Some(last) = page.last() {
                place.after = last.position;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }
}

/// What is not known to take nothing from anybody counts as a revocation: a newer process may record other kinds.
fn take_back(live: &LiveSessions, entry: &Recorded) {
    let Ok(id) = entry.stream.id().parse::<Uuid>() else {
        return;
    };
    match (entry.stream.category(), entry.kind.as_str()) {
        ("session", "session_started") | ("user", "user_registered" | "user_updated") => {}
        ("session", _) => live.forget(&[SessionId(id)]),
        ("user", _) => live.forget_user(UserId(id)),
        _ => {}
    }
}
