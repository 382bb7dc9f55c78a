use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;
use stanchion_messaging::{ConsumerStore, DeadLetterFilter, Parked, ParkedState};
use uuid::Uuid;

use crate::{Service, Stopped};

/// Letters looked at in one go.
const LIMIT: usize = 1_000;

pub(super) fn command() -> Command {
    let all = Arg::new("all").long("all").action(ArgAction::SetTrue);
    Command::new("dead-letters")
        .about("Messages that consumers gave up on")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("One line a letter")
                .arg(consumer().help("Only of this consumer"))
                .arg(all.help("Those waiting for another attempt as well")),
        )
        .subcommand(
            Command::new("show")
                .about("A letter whole, as JSON")
                .arg(message()),
        )
        .subcommand(
            Command::new("redrive")
                .about("Makes a letter due again")
                .arg(message()),
        )
        .subcommand(
            Command::new("discard")
                .about("Gives a letter up for good")
                .arg(message()),
        )
}

pub(super) fn redrive_command() -> Command {
    Command::new("redrive")
        .about("Makes all dead letters due again")
        .arg(consumer().help("Only those of this consumer"))
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    match given.subcommand() {
        Some(("show", given)) => {
            for (_, letter) in found(&service, given).await? {
                println!("{:#}", json!(letter));
            }
            Ok(())
        }
        Some(("redrive", given)) => {
            for (store, letter) in found(&service, given).await? {
                redrive_one(&*store, &letter).await?;
            }
            Ok(())
        }
        Some(("discard", given)) => {
            for (store, letter) in found(&service, given).await? {
                store
                    .discard(&letter.consumer, letter.message.id)
                    .await
                    .map_err(Stopped::failed)?;
                println!("discarded {} of {}", letter.message.id, letter.consumer);
            }
            Ok(())
        }
        Some((_, given)) => list(&service, given).await,
        None => Ok(()),
    }
}

pub(super) async fn redrive(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let letters = letters(
        &service,
        given.get_one::<String>("consumer").cloned(),
        Some(ParkedState::Dead),
    )
    .await?;
    for (store, letter) in &letters {
        redrive_one(&**store, letter).await?;
    }
    println!("{} made due again", letters.len());
    Ok(())
}

async fn list(service: &Service, given: &ArgMatches) -> Result<(), Stopped> {
    let state = (!given.get_flag("all")).then_some(ParkedState::Dead);
    for (_, letter) in letters(service, given.get_one::<String>("consumer").cloned(), state).await?
    {
        println!(
            "{} {:20} {:32} attempts {} since {} {}",
            letter.message.id,
            letter.consumer,
            letter.message.contract,
            letter.attempts,
            letter.parked_at,
            letter.reason
        );
    }
    Ok(())
}

type Found = (Arc<dyn ConsumerStore>, Parked);

async fn letters(
    service: &Service,
    consumer: Option<String>,
    state: Option<ParkedState>,
) -> Result<Vec<Found>, Stopped> {
    let filter = DeadLetterFilter {
        consumer,
        state,
        limit: LIMIT,
    };
    let mut letters = Vec::new();
    for store in service
        .modules
        .iter()
        .filter_map(|module| module.consumers.as_ref())
    {
        let parked = store.list(&filter).await.map_err(Stopped::failed)?;
        letters.extend(parked.into_iter().map(|letter| (store.clone(), letter)));
    }
    Ok(letters)
}

/// The letters with the id that was given: one for each consumer that parked it.
async fn found(service: &Service, given: &ArgMatches) -> Result<Vec<Found>, Stopped> {
    let id = given
        .get_one::<Uuid>("message")
        .copied()
        .unwrap_or_default();
    let mut letters = letters(service, None, None).await?;
    letters.retain(|(_, letter)| letter.message.id == id);
    if letters.is_empty() {
        return Err(Stopped::Failed(format!("there is no dead letter {id}")));
    }
    Ok(letters)
}

async fn redrive_one(store: &dyn ConsumerStore, letter: &Parked) -> Result<(), Stopped> {
    let now = stanchion_runtime::clock::now();
    store
        .redrive(&letter.consumer, letter.message.id, now)
        .await
        .map_err(Stopped::failed)?;
    println!("due again: {} of {}", letter.message.id, letter.consumer);
    Ok(())
}

fn consumer() -> Arg {
    Arg::new("consumer").long("consumer").value_name("NAME")
}

fn message() -> Arg {
    Arg::new("message")
        .required(true)
        .value_parser(value_parser!(Uuid))
        .help("The message's id")
}
