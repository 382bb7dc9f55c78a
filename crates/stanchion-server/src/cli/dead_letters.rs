mod change;

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;
use stanchion_messaging::{ConsumerStore, DeadLetterFilter, Parked, ParkedState};
use uuid::Uuid;

use self::change::{Change, change, unchanged};
use super::say;
use crate::{Module, Service, Stopped};

/// Letters of one module listed, or redriven, in one go.
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
                .arg(all.help("Those waiting for another attempt or for an upgrade as well")),
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
                .about("Gives a letter up for good, or what waits for an upgrade")
                .arg(message()),
        )
        .subcommand(
            Command::new("withdraw")
                .about("Gives up what waits for another attempt, or for its time")
                .arg(message()),
        )
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    match given.subcommand() {
        Some(("show", given)) => show(&service, given).await,
        Some(("redrive", given)) => change_one(&service, given, Change::Redrive).await,
        Some(("discard", given)) => change_one(&service, given, Change::Discard).await,
        Some(("withdraw", given)) => change_one(&service, given, Change::Withdraw).await,
        Some((_, given)) => list(&service, given).await,
        None => Ok(()),
    }
}

pub(super) async fn redrive(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    let letters = wanted(&service, given, Some(ParkedState::Dead)).await?;
    let mut redriven = 0;
    for letter in &letters.found {
        if change(&service, letter, Change::Redrive).await? {
            redriven += 1;
        }
    }
    let rest = if letters.more {
        "; there are more: run it again"
    } else {
        ""
    };
    say(format_args!("{redriven} made due again{rest}"))
}

async fn list(service: &Service, given: &ArgMatches) -> Result<(), Stopped> {
    let state = (!given.get_flag("all")).then_some(ParkedState::Dead);
    let letters = wanted(service, given, state).await?;
    for Letter { parked, .. } in &letters.found {
        say(format_args!(
            "{} {:20} {:32} {:7} attempts {} since {} {}",
            parked.message.id,
            parked.consumer,
            parked.message.contract,
            word(parked.state),
            parked.attempts,
            parked.parked_at,
            told(parked)
        ))?;
    }
    // Beside the list, which programs may read.
    match letters.found.len() {
        0 => eprintln!("no dead letters"),
        _ if letters.more => eprintln!("there are more: these are the oldest {LIMIT} of a module"),
        _ => {}
    }
    Ok(())
}

/// What the last attempt said that ended, and that another has begun.
fn told(parked: &Parked) -> String {
    match parked.under_way {
        true => format!("{}; before: {}", Parked::UNDER_WAY, parked.reason),
        false => parked.reason.clone(),
    }
}

/// As metrics have it.
fn word(state: ParkedState) -> &'static str {
    match state {
        ParkedState::Retry => "retry",
        ParkedState::Dead => "dead",
        ParkedState::Unknown => "unknown",
    }
}

async fn show(service: &Service, given: &ArgMatches) -> Result<(), Stopped> {
    for letter in with_id(service, given).await? {
        say(format_args!("{:#}", json!(letter.parked)))?;
    }
    Ok(())
}

/// Changes the letters with the id that was given: one for each consumer that gave it up.
async fn change_one(service: &Service, given: &ArgMatches, wish: Change) -> Result<(), Stopped> {
    let mut changed = false;
    let letters = with_id(service, given).await?;
    for letter in &letters {
        changed |= change(service, letter, wish).await?;
    }
    match letters.first() {
        Some(Letter { parked, .. }) if !changed => Err(Stopped::Failed(unchanged(parked, wish))),
        _ => Ok(()),
    }
}

/// A letter, and whose it is.
struct Letter<'a> {
    module: &'a Module,
    store: &'a Arc<dyn ConsumerStore>,
    parked: Parked,
}

/// Letters, and whether there are more of them.
struct Letters<'a> {
    found: Vec<Letter<'a>>,
    more: bool,
}

/// The letters of the consumer that was given, or all.
async fn wanted<'a>(
    service: &'a Service,
    given: &ArgMatches,
    state: Option<ParkedState>,
) -> Result<Letters<'a>, Stopped> {
    let consumer = given.get_one::<String>("consumer").cloned();
    let letters = letters(service, consumer.clone(), state).await?;
    if let Some(consumer) = consumer.filter(|_| letters.found.is_empty()) {
        require_known(service, &consumer).await?;
    }
    Ok(letters)
}

async fn letters(
    service: &Service,
    consumer: Option<String>,
    state: Option<ParkedState>,
) -> Result<Letters<'_>, Stopped> {
    let filter = DeadLetterFilter {
        consumer,
        state,
        limit: LIMIT,
    };
    let mut letters = Letters {
        found: Vec::new(),
        more: false,
    };
    for (module, store) in stores(service) {
        let parked = store.list(&filter).await.map_err(Stopped::failed)?;
        letters.more |= parked.len() == LIMIT;
        letters.found.extend(of(module, store, parked));
    }
    Ok(letters)
}

fn of<'a>(
    module: &'a Module,
    store: &'a Arc<dyn ConsumerStore>,
    parked: Vec<Parked>,
) -> impl Iterator<Item = Letter<'a>> {
    parked.into_iter().map(move |parked| Letter {
        module,
        store,
        parked,
    })
}

/// The letters with the id that was given: one for each consumer that parked it.
async fn with_id<'a>(service: &'a Service, given: &ArgMatches) -> Result<Vec<Letter<'a>>, Stopped> {
    let id = given
        .get_one::<Uuid>("message")
        .copied()
        .unwrap_or_default();
    let mut found = Vec::new();
    for (module, store) in stores(service) {
        let parked = store.find(id).await.map_err(Stopped::failed)?;
        found.extend(of(module, store, parked));
    }
    if found.is_empty() {
        return Err(Stopped::Failed(format!("there is no dead letter {id}")));
    }
    Ok(found)
}

/// A name that nobody has ever read under is a slip of the pen.
async fn require_known(service: &Service, consumer: &str) -> Result<(), Stopped> {
    for (module, store) in stores(service) {
        let is_relays = consumer.strip_prefix("relay-") == Some(module.name);
        if is_relays && module.relay.is_some() {
            return Ok(());
        }
        // By way of a broker it has marks alone.
        let progress = store.progress(consumer).await.map_err(Stopped::failed)?;
        let marks = store.marks(consumer).await.map_err(Stopped::failed)?;
        if !progress.is_empty() || !marks.is_empty() {
            return Ok(());
        }
    }
    Err(Stopped::Usage(format!(
        "no consumer `{consumer}` has read anything here; leave --consumer away to see everybody's letters"
    )))
}

fn stores(service: &Service) -> impl Iterator<Item = (&Module, &Arc<dyn ConsumerStore>)> {
    let modules = service.modules.iter();
    modules.filter_map(|module| Some((module, module.consumers.as_ref()?)))
}

pub(super) fn consumer() -> Arg {
    Arg::new("consumer").long("consumer").value_name("NAME")
}

fn message() -> Arg {
    Arg::new("message")
        .required(true)
        .value_parser(value_parser!(Uuid))
        .help("The message's id")
}
