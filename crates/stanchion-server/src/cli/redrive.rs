//! `redrive`: what was given up is tried again, and what was announced is announced again.

use std::sync::Arc;

use clap::{Arg, ArgGroup, ArgMatches, Command, value_parser};
use jiff::{SignedDuration, Timestamp};
use stanchion_eventsourcing::{EventLog, Filter, LogError, Position};
use stanchion_messaging::Redrive;
use stanchion_runtime::clock;

use super::{dead_letters, log, running, say};
use crate::{Module, Service, Stopped};

pub(super) fn command() -> Command {
    let position = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("POSITION")
            .value_parser(value_parser!(i64).range(0..))
    };
    Command::new("redrive")
        .about("Makes all dead letters due again, or with --log announces a log's entries again")
        .arg(
            dead_letters::consumer()
                .help("Only the dead letters of this consumer")
                .conflicts_with("log"),
        )
        .arg(
            Arg::new("log")
                .long("log")
                .value_name("MODULE")
                .requires("since")
                .help("Announces entries of this module's log again; consumers drop what they have had"),
        )
        .arg(position("from").requires("log").help("From this position on"))
        .arg(
            Arg::new("last")
                .long("last")
                .value_name("TIME")
                .requires("log")
                .value_parser(value_parser!(SignedDuration))
                .help("What was recorded in this time, such as 90m or 2h"),
        )
        .arg(
            position("through")
                .requires("log")
                .help("Up to this position, beside what is new; to the end, and what is new after it, unless given"),
        )
        .group(ArgGroup::new("since").args(["from", "last"]))
}

pub(super) async fn run(service: Service, given: &ArgMatches) -> Result<(), Stopped> {
    match given.get_one::<String>("log") {
        Some(name) => announce_again(&service, name, given).await,
        None => dead_letters::redrive(service, given).await,
    }
}

async fn announce_again(service: &Service, name: &str, given: &ArgMatches) -> Result<(), Stopped> {
    let log = log::log_of(service, name)?;
    let mut modules = service.modules.iter();
    let module = modules.find(|module| module.name == name && module.relay.is_some());
    let module = module.ok_or_else(|| {
        Stopped::Usage(format!(
            "{name} announces its log to no broker: who follows it reads the log itself, and misses nothing"
        ))
    })?;
    let wish = wish_of(&log, given).await?;
    if wish.through.is_some_and(|through| through <= wish.after) {
        let (from, through) = (wish.after.0 + 1, wish.through.unwrap_or_default());
        return Err(Stopped::Usage(format!(
            "there is nothing from {from} through {through}"
        )));
    }
    put(service, module, &wish).await?;
    let end = match wish.through {
        Some(through) => format!("through {through}"),
        None => format!(
            "to the end (now {})",
            log.head().await.map_err(Stopped::failed)?
        ),
    };
    say(format_args!(
        "wished: the relay of {name} announces its log again from {} {end}",
        wish.after.0 + 1
    ))
}

async fn wish_of(log: &Arc<dyn EventLog>, given: &ArgMatches) -> Result<Redrive, Stopped> {
    let after = match (given.get_one::<i64>("from"), given.get_one("last")) {
        (Some(from), _) => Position((from - 1).max(0)),
        (None, Some(last)) => {
            let since = clock::now().saturating_sub::<SignedDuration>(*last);
            let since = since.unwrap_or(Timestamp::MIN);
            before(log, since).await.map_err(Stopped::failed)?
        }
        (None, None) => Position::START,
    };
    Ok(Redrive {
        after,
        through: given.get_one("through").copied().map(Position),
        ..Redrive::default()
    })
}

/// The last position that was recorded before that time. Positions are in the order of commits and times nearly so: at a
/// border some entries too many or too few may count as later.
async fn before(log: &Arc<dyn EventLog>, time: Timestamp) -> Result<Position, LogError> {
    let (mut low, mut high) = (0, log.head().await?.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let next = log.read(Position(middle), &Filter::all(), 1).await?;
        match next.first() {
            Some(entry) if entry.at < time => low = entry.position.0,
            _ => high = middle,
        }
    }
    Ok(Position(low))
}

/// An embedded store belongs to the process that has it open: that one is asked.
async fn put(service: &Service, module: &Module, wish: &Redrive) -> Result<(), Stopped> {
    let Some(relay) = &module.relay else {
        return Ok(());
    };
    let (error, admin) = match (relay.wish(module.name, wish).await, &service.admin) {
        (Ok(()), _) => return Ok(()),
        (Err(error), None) => return Err(Stopped::failed(error)),
        (Err(error), Some(admin)) => (error, admin),
    };
    let (after, through) = (
        wish.after.to_string(),
        wish.through.map(|it| it.to_string()),
    );
    let mut path = vec!["logs", module.name, "redrive", &after];
    path.extend(through.as_deref());
    match running::post(admin, &path).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stopped::Failed(format!(
            "the service on {} has no relay of {}",
            admin.listen, module.name
        ))),
        Err(nobody) => Err(Stopped::Failed(format!(
            "the wish cannot be put: {nobody}; and without it: {error}. Start the service, or give its admin.listen and admin.token"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn given(words: &str) -> Result<ArgMatches, ErrorKind> {
        let words = ["redrive"].into_iter().chain(words.split_whitespace());
        command()
            .try_get_matches_from(words)
            .map_err(|error| error.kind())
    }

    #[test]
    fn a_log_wants_a_beginning_and_a_beginning_wants_a_log() {
        for good in [
            "",
            "--consumer a",
            "--log orders --from 7",
            "--log orders --last 2h",
            "--log orders --from 7 --through 9",
        ] {
            assert!(given(good).is_ok(), "{good}");
        }
        for bad in [
            "--log orders",
            "--from 7",
            "--last 2h",
            "--through 9",
            "--log orders --from -1",
        ] {
            assert!(given(bad).is_err(), "{bad}");
        }
        for both in [
            "--log orders --from 7 --last 2h",
            "--log orders --from 7 --consumer a",
        ] {
            assert_eq!(
                given(both).unwrap_err(),
                ErrorKind::ArgumentConflict,
                "{both}"
            );
        }
    }

    #[test]
    fn times_are_said_as_everywhere() {
        let given = given("--log orders --last 90m").unwrap();
        let last: SignedDuration = *given.get_one("last").unwrap();
        assert_eq!(last, SignedDuration::from_mins(90));
    }
}
