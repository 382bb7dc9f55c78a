use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use stanchion_eventsourcing::{Difference, Position, Verified};

use super::Known;
use super::told::Told;
use crate::Stopped;
use crate::cli::running::{self, Answer, NoAnswer};
use crate::cli::say;
use crate::service::AdminSettings;

/// How often the service is asked whether a rebuild or a verification is through.
const LOOK: Duration = Duration::from_millis(200);

/// What an operator may do with a projection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Pause,
    Resume,
    Rebuild,
    CancelRebuild,
    Verify,
    Retry,
}

/// What came of it.
enum Done {
    /// There is nothing more to say.
    Plain,
    /// There was no rebuild to give up.
    NoRebuild,
    Rebuilt(Position),
    Verified(Verified),
    Due(u64),
}

impl Act {
    pub(super) const ALL: [Self; 6] = [
        Self::Pause,
        Self::Resume,
        Self::Rebuild,
        Self::CancelRebuild,
        Self::Verify,
        Self::Retry,
    ];

    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.word() == word)
    }

    /// The word of the command line and of the admin port.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rebuild => "rebuild",
            Self::CancelRebuild => "cancel-rebuild",
            Self::Verify => "verify",
            Self::Retry => "retry",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Pause => "Stops applying entries, also over a restart; reads go on",
            Self::Resume => "Goes on after a pause, and tries again after a halt",
            Self::Rebuild => {
                "Replays the log into new rows beside the live ones and swaps; waits for the end, but a running service goes on without"
            }
            Self::CancelRebuild => "Gives a rebuild up; the live rows stay as they are",
            Self::Verify => {
                "Compares the rows with a fresh replay of the log; exit code 1 if they differ"
            }
            Self::Retry => "Makes entries that were put aside due again",
        }
    }

    /// Does it and says so.
    pub(super) async fn on(self, known: &Known<'_>, told: &Told<'_>) -> Result<(), Stopped> {
        let done = match told.service(known) {
            Some(admin) => self.by_service(admin, known).await?,
            None => self.in_store(known).await.map_err(|error| {
                Stopped::Failed(format!(
                    "`{}` of {known} fails: {}; and without a service: {error}. Start the service, or give its \
                     admin.listen and admin.token",
                    self.word(),
                    told.why_not(known)
                ))
            })?,
        };
        self.tell(known, done)
    }

    async fn in_store(self, known: &Known<'_>) -> Result<Done, String> {
        let projection = known.projection;
        Ok(match self {
            Self::Pause => projection.pause().await.map(|()| Done::Plain)?,
            Self::Resume => projection.resume().await.map(|()| Done::Plain)?,
            Self::Rebuild => Done::Rebuilt(projection.rebuild().await?),
            Self::CancelRebuild if projection.cancel_rebuild().await? => Done::Plain,
            Self::CancelRebuild => Done::NoRebuild,
            Self::Verify => Done::Verified(projection.verify().await?),
            Self::Retry => Done::Due(projection.retry_parked().await?),
        })
    }

    async fn by_service(self, admin: &AdminSettings, known: &Known<'_>) -> Result<Done, Stopped> {
        let (module, name) = (known.module, known.projection.name());
        let path = ["projections", module, name, self.word()];
        let Answer { status, body } = running::ask(admin, Method::POST, &path)
            .await
            .map_err(silent)?;
        let refused = || Stopped::Failed(body["error"].as_str().unwrap_or("refused").to_owned());
        match self {
            Self::CancelRebuild if status == StatusCode::NOT_FOUND => Ok(Done::NoRebuild),
            _ if !status.is_success() => Err(refused()),
            Self::Rebuild | Self::Verify => ended(admin, known, &body["id"]).await,
            Self::Retry => Ok(Done::Due(body["due"].as_u64().unwrap_or_default())),
            Self::Pause | Self::Resume | Self::CancelRebuild => Ok(Done::Plain),
        }
    }

    fn tell(self, known: &Known<'_>, done: Done) -> Result<(), Stopped> {
        match done {
            Done::Plain if self == Self::Pause => say(format_args!("paused: {known}")),
            Done::Plain if self == Self::Resume => say(format_args!("resumed: {known}")),
            Done::Plain => say(format_args!("given up: the rebuild of {known}")),
            Done::NoRebuild => Err(Stopped::Failed(format!("there is no rebuild of {known}"))),
            Done::Rebuilt(position) => say(format_args!("rebuilt: {known} up to {position}")),
            Done::Due(due) => say(format_args!("{due} made due again: {known}")),
            Done::Verified(verified) => tell_verified(known, &verified),
        }
    }
}

/// What came of a work of the service. That takes as long as it takes: each look is bounded, and the service goes on
/// when nobody looks any more.
async fn ended(admin: &AdminSettings, known: &Known<'_>, id: &Value) -> Result<Done, Stopped> {
    let path = ["projections", known.module, known.projection.name()];
    loop {
        let shown = running::ask(admin, Method::GET, &path).await;
        let shown = shown.map_err(silent)?.body;
        let work = &shown["work"];
        if work["id"] != *id {
            let other = "what it came to is not known: another one was begun since, or the service started anew";
            return Err(Stopped::Failed(other.into()));
        }
        let unreadable = |error: serde_json::Error| Stopped::failed(error);
        match work["state"].as_str().unwrap_or_default() {
            "running" => tokio::time::sleep(LOOK).await,
            "rebuilt" => {
                let position = serde_json::from_value(work["position"].clone());
                return position.map(Done::Rebuilt).map_err(unreadable);
            }
            "verified" => {
                let verified = serde_json::from_value(work["verified"].clone());
                return verified.map(Done::Verified).map_err(unreadable);
            }
            _ => {
                let error = work["error"].as_str().unwrap_or("it failed");
                return Err(Stopped::Failed(error.to_owned()));
            }
        }
    }
}

fn tell_verified(known: &Known<'_>, verified: &Verified) -> Result<(), Stopped> {
    let Verified {
        position,
        rows,
        different,
        examples,
    } = verified;
    if verified.holds() {
        return say(format_args!(
            "{known} holds: {rows} rows are what the log says up to {position}"
        ));
    }
    for example in examples {
        let Difference {
            table,
            key,
            live,
            replayed,
        } = example;
        let shown = |row: &Option<String>| row.clone().unwrap_or_else(|| "no row".into());
        say(format_args!(
            "{table} {key}\n  is        {}\n  should be {}",
            shown(live),
            shown(replayed)
        ))?;
    }
    Err(Stopped::Failed(format!(
        "{known} differs from its log up to {position}: {different} of {rows} rows"
    )))
}

fn silent(no: NoAnswer) -> Stopped {
    let (NoAnswer::Nobody(why) | NoAnswer::Failed(why)) = no;
    Stopped::Failed(why)
}
