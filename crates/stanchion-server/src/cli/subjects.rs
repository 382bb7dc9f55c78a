//! `subjects`: a person's data is made unreadable, or all keys are sealed with another master key.
//!
//! The service over the same stores is asked through its admin port: it has keys and opened values in memory, and an
//! embedded store is its own. Where none answers it is done on the stores from here.

use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use stanchion_eventsourcing::{Resealed, Shredded, Subjects, SubjectsError};

use super::running::{self, NoAnswer};
use super::say;
use crate::admin::by_operator;
use crate::service::AdminSettings;
use crate::{Service, Stopped};

/// Keys that are sealed anew in one go.
const RESEALED_MAX: usize = 1_000;

pub(super) fn command() -> Command {
    let subject = Arg::new("subject")
        .required(true)
        .value_name("SUBJECT")
        .help("Whose: the id that the data are sealed under");
    Command::new("subjects")
        .about("Personal data: shred a person's, change the master key")
        .subcommand_required(true)
        .subcommand(
            Command::new("shred")
                .about("Makes a person's data unreadable for ever, everywhere; prints the proof, a repeat the same one")
                .arg(subject),
        )
        .subcommand(Command::new("reseal").about(
            "Seals all persons' keys with the present master key; can be cut off and done again",
        ))
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let Some(subjects) = service.subjects.clone() else {
        return Err(Stopped::Usage(
            "this service has no keys of subjects".into(),
        ));
    };
    let through = Through::find(&service, subjects).await?;
    match given.subcommand() {
        Some(("shred", given)) => {
            let subject = given.get_one::<String>("subject");
            shred(&through, subject.map_or("", String::as_str)).await
        }
        _ => reseal(&through).await,
    }
}

async fn shred(through: &Through<'_>, subject: &str) -> Result<(), Stopped> {
    let Shredded {
        subject,
        at,
        log,
        position,
        event,
        snapshots,
    } = through.shred(subject).await?;
    say(format_args!(
        "shredded: {subject} at {at}, recorded as event {event} at position {position} of log {log}"
    ))?;
    // Beside the proof, which is the same at every repeat.
    eprintln!("snapshots deleted: {snapshots}");
    Ok(())
}

async fn reseal(through: &Through<'_>) -> Result<(), Stopped> {
    let mut total = 0;
    loop {
        let Resealed { resealed, left } = through.reseal().await?;
        total += resealed;
        if resealed > 0 && !left.is_empty() {
            continue;
        }
        say(format_args!("resealed: {total} keys"))?;
        return if left.is_empty() {
            say("no other master key is needed any more")
        } else {
            Err(Stopped::Failed(format!(
                "keys are still sealed with {}: another process seals with it; do it again when none does",
                left.join(", ")
            )))
        };
    }
}

/// By whom it is done.
enum Through<'a> {
    Service(&'a AdminSettings),
    Stores {
        subjects: Arc<dyn Subjects>,
        /// Why no service does it.
        nobody: String,
    },
}

impl<'a> Through<'a> {
    /// The service that answers, if it has the same data; what is done here cannot be undone.
    async fn find(service: &'a Service, subjects: Arc<dyn Subjects>) -> Result<Self, Stopped> {
        let nobody = match &service.admin {
            None => "there is no admin port to ask a running service at".into(),
            Some(admin) => match running::ask(admin, Method::GET, &["subjects"]).await {
                Ok(answer) if answer.body["log"] == json!(subjects.log()) => {
                    return Ok(Self::Service(admin));
                }
                Ok(_) => format!("the service on {} has other data", admin.listen),
                Err(NoAnswer::Nobody(why)) => why,
                Err(NoAnswer::Failed(why)) => return Err(Stopped::Failed(why)),
            },
        };
        Ok(Self::Stores { subjects, nobody })
    }

    async fn shred(&self, subject: &str) -> Result<Shredded, Stopped> {
        match self {
            Self::Service(admin) => asked(admin, &["subjects", subject, "shred"]).await,
            Self::Stores { subjects, nobody } => {
                let done = subjects.shred(subject, &by_operator()).await;
                done.map_err(|error| not_done(error, nobody))
            }
        }
    }

    async fn reseal(&self) -> Result<Resealed, Stopped> {
        match self {
            Self::Service(admin) => asked(admin, &["subjects", "reseal"]).await,
            Self::Stores { subjects, nobody } => {
                let done = subjects.reseal(RESEALED_MAX).await;
                done.map_err(|error| not_done(error, nobody))
            }
        }
    }
}

async fn asked<T: DeserializeOwned>(admin: &AdminSettings, path: &[&str]) -> Result<T, Stopped> {
    let answer = running::ask(admin, Method::POST, path).await;
    let answer =
        answer.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| Stopped::Failed(why))?;
    if answer.status != StatusCode::OK {
        let why = answer.body["error"].as_str().map(str::to_owned);
        let why = why.unwrap_or_else(|| format!("the service answered {}", answer.status));
        return Err(Stopped::Failed(why));
    }
    serde_json::from_value(answer.body).map_err(Stopped::failed)
}

fn not_done(error: SubjectsError, nobody: &str) -> Stopped {
    Stopped::Failed(match error {
        SubjectsError::Refused(why) => why,
        SubjectsError::Unavailable(why) => format!(
            "it is not done, or not all of it: {nobody}; and without a service: {why}. Start the service, or give its \
             admin.listen and admin.token, and do it again"
        ),
    })
}
