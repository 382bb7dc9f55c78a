//! `keys`: the signing keys are listed, rotated, or sealed with another key-encryption key.
//!
//! The service over the same store is asked through its admin port, so that it uses what comes of it at once; an
//! embedded store is its own. Where none answers it is done on the store from here.

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use stanchion_auth::key::rotation::Haste;
use stanchion_auth::key::{KeyListing, OperatedKeys};

use super::running::{self, NoAnswer};
use super::say;
use crate::service::AdminSettings;
use crate::{Service, Stopped};

pub(super) fn command() -> Command {
    let now = Arg::new("now").long("now").action(ArgAction::SetTrue).help(
        "The next key signs at once; verifiers elsewhere may refuse tokens until they ask again",
    );
    let leaked = Arg::new("leaked")
        .long("leaked")
        .action(ArgAction::SetTrue)
        .conflicts_with("now")
        .help("A key has leaked: all are forgotten, a new one signs, every access token ends");
    Command::new("keys")
        .about("Signing keys: list, rotate, change the key-encryption key")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("Lists them, with where each stands in its life"))
        .subcommand(
            Command::new("rotate")
                .about("Publishes the next key now; it signs once every verifier can have met it")
                .args([now, leaked]),
        )
        .subcommand(
            Command::new("reseal")
                .about("Seals them with the present key-encryption key; can be done again"),
        )
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let Some(keys) = service.keys.clone() else {
        return Err(Stopped::Usage("this service has no signing keys".into()));
    };
    let through = Through::find(&service, keys).await?;
    match given.subcommand() {
        Some(("rotate", given)) => told(&through.rotate(haste(given)).await?),
        Some(("reseal", _)) => say(format_args!("resealed: {} keys", through.reseal().await?)),
        _ => told(&through.list().await?),
    }
}

fn haste(given: &ArgMatches) -> Haste {
    match (given.get_flag("now"), given.get_flag("leaked")) {
        (_, true) => Haste::Leaked,
        (true, _) => Haste::Now,
        _ => Haste::Ahead,
    }
}

fn told(keys: &[KeyListing]) -> Result<(), Stopped> {
    for key in keys {
        let KeyListing {
            kid,
            algorithm,
            state,
            since,
            sealed_by,
        } = key;
        say(format_args!(
            "{kid}  {algorithm:<5}  {state:<11}  since {since}  sealed by {sealed_by}"
        ))?;
    }
    Ok(())
}

/// By whom it is done.
enum Through<'a> {
    Service(&'a AdminSettings),
    Store(Arc<dyn OperatedKeys>),
}

impl<'a> Through<'a> {
    /// The service that answers, if it has the same store.
    async fn find(service: &'a Service, keys: Arc<dyn OperatedKeys>) -> Result<Self, Stopped> {
        let Some(admin) = &service.admin else {
            return Ok(Self::Store(keys));
        };
        match running::ask(admin, Method::GET, &["keys"]).await {
            Ok(answer) if answer.body["store"] == json!(keys.store()) => Ok(Self::Service(admin)),
            Ok(_) | Err(NoAnswer::Nobody(_)) => Ok(Self::Store(keys)),
            Err(NoAnswer::Failed(why)) => Err(Stopped::Failed(why)),
        }
    }

    async fn list(&self) -> Result<Vec<KeyListing>, Stopped> {
        match self {
            Self::Service(admin) => listed(asked(admin, Method::GET, &["keys"]).await?),
            Self::Store(keys) => keys.list().await.map_err(Stopped::Failed),
        }
    }

    async fn rotate(&self, haste: Haste) -> Result<Vec<KeyListing>, Stopped> {
        match self {
            Self::Service(admin) => {
                let path = ["keys", "rotate", haste.name()];
                listed(asked(admin, Method::POST, &path).await?)
            }
            Self::Store(keys) => keys.rotate(haste).await.map_err(Stopped::Failed),
        }
    }

    async fn reseal(&self) -> Result<u64, Stopped> {
        match self {
            Self::Service(admin) => {
                let answer = asked(admin, Method::POST, &["keys", "reseal"]).await?;
                Ok(answer["resealed"].as_u64().unwrap_or_default())
            }
            Self::Store(keys) => keys.reseal().await.map_err(Stopped::Failed),
        }
    }
}

async fn asked(admin: &AdminSettings, method: Method, path: &[&str]) -> Result<Value, Stopped> {
    let answer = running::ask(admin, method, path).await;
    let answer =
        answer.map_err(|(NoAnswer::Nobody(why) | NoAnswer::Failed(why))| Stopped::Failed(why))?;
    if answer.status != StatusCode::OK {
        let why = answer.body["error"].as_str().map(str::to_owned);
        let why = why.unwrap_or_else(|| format!("the service answered {}", answer.status));
        return Err(Stopped::Failed(why));
    }
    Ok(answer.body)
}

fn listed(mut answer: Value) -> Result<Vec<KeyListing>, Stopped> {
    serde_json::from_value(answer["keys"].take()).map_err(Stopped::failed)
}
