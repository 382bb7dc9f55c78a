//! Units of work: rows and events in one transaction, with stalls and rollbacks.

use std::cell::Cell;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::Value;
use stanchion::eventsourcing::{Expected, Metadata, StreamId};
use stanchion::sql::{SqlError, UnitOfWork, WorkError, params};
use tokio::time::sleep;

use crate::ask::{Desk, content, event, refused};
use crate::journal::{How, Intent, Outcome};

/// Accounts that all processes book on, in any order: deadlocks are wanted.
const ACCOUNTS: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// One unit in so many is rolled back, stalls, or stalls longer than the server allows.
const ROLLED_BACK: f64 = 0.1;
const STALLS: f64 = 0.2;
const STALLS_TOO_LONG: f64 = 0.02;

const BOOK: &str = "insert into account (name, n, cents) values ($1, 1, $2) on conflict (name) \
                    do update set n = account.n + 1, cents = account.cents + excluded.cents";

/// A unit that is repeated meets its own row when the first time was committed after all.
const ROW: &str =
    "insert into work_row (id, account, cents) values ($1, $2, $3) on conflict (id) do nothing";

/// How one attempt goes, chosen before it.
#[derive(Clone, Copy)]
struct Course {
    stall: Duration,
    rolled_back: bool,
    queued: bool,
}

pub(crate) async fn write(mut desk: Desk) -> anyhow::Result<()> {
    while desk.goes_on().await {
        let intent = intent(&mut desk);
        let course = course(&mut desk);
        repeat(&mut desk, &intent, course, true).await;
    }
    Ok(())
}

/// Commits a unit, the same each time.
async fn repeat(desk: &mut Desk, intent: &Intent, course: Course, fresh: bool) {
    let db = desk.store.db.clone();
    let stall = Cell::new(course.stall);
    let attempt = async || {
        let stall = stall.take();
        let course = Course { stall, ..course };
        outcome(attempt(UnitOfWork::begin(&db), intent, course).await)
    };
    if fresh {
        desk.settle(intent, attempt).await;
    } else {
        desk.settle_begun(intent, attempt).await;
    }
}

fn outcome(committed: Result<Outcome, WorkError>) -> Outcome {
    match committed {
        Ok(outcome) => outcome,
        Err(WorkError::Log(error)) => refused(&error),
        Err(WorkError::Store(SqlError::InDoubt(_))) => Outcome::Unknown { why: "in doubt" },
        Err(WorkError::Store(SqlError::Usage(reason) | SqlError::Constraint(reason))) => {
            eprintln!("a unit of work is wrong: {reason}");
            refusal("invalid")
        }
        // Nothing was written.
        Err(WorkError::Store(_)) => refusal("unavailable"),
    }
}

/// As [`write()`] would have gone on with it in the life before.
pub(crate) async fn resume(desk: &mut Desk, intent: &Intent) {
    let course = Course {
        stall: Duration::ZERO,
        rolled_back: false,
        queued: true,
    };
    repeat(desk, intent, course, false).await;
}

async fn attempt(
    mut unit: UnitOfWork,
    intent: &Intent,
    course: Course,
) -> Result<Outcome, WorkError> {
    for (id, (account, cents)) in intent.ids.iter().zip(&intent.bookings) {
        let row = params![*id, account.as_str(), *cents];
        let book = params![account.as_str(), *cents];
        if course.queued {
            unit.queue(ROW, row);
            unit.queue(BOOK, book);
        } else {
            unit.tx().exec(ROW, row).await?;
            unit.tx().exec(BOOK, book).await?;
        }
    }
    sleep(course.stall).await;
    if course.rolled_back {
        return Ok(refusal("rolled back"));
    }
    let metadata = Metadata::new(None);
    for (part, (id, (account, cents))) in intent.ids.iter().zip(&intent.bookings).enumerate() {
        let mut content = content(intent, part);
        content["account"] = Value::from(account.as_str());
        content["cents"] = Value::from(*cents);
        let stream = StreamId::new("work", account.as_str());
        unit.record(stream, Expected::Any, vec![event(*id, content)], &metadata);
    }
    let committed = unit.commit().await?;
    Ok(Outcome::Ack {
        position: committed.position.map_or(0, |at| at.0),
        version: None,
    })
}

fn intent(desk: &mut Desk) -> Intent {
    let several = 1 + usize::from(desk.dice.random_bool(0.3));
    let accounts: Vec<_> = ACCOUNTS.choose_multiple(&mut desk.dice, several).collect();
    let mut intent = Intent::append(String::new(), None, several);
    intent.how = How::Work;
    intent.stream = None;
    let bookings = accounts.into_iter().map(|account| {
        let cents = desk.dice.random_range(-500..=1_000);
        ((*account).to_owned(), cents)
    });
    intent.bookings = bookings.collect();
    intent
}

fn course(desk: &mut Desk) -> Course {
    let dice = &mut desk.dice;
    let stall_ms = if dice.random_bool(STALLS_TOO_LONG) {
        3_000
    } else if dice.random_bool(STALLS) {
        dice.random_range(5..400)
    } else {
        0
    };
    Course {
        stall: Duration::from_millis(stall_ms),
        rolled_back: dice.random_bool(ROLLED_BACK),
        queued: dice.random_bool(0.5),
    }
}

fn refusal(why: &'static str) -> Outcome {
    let position = None;
    Outcome::Refused { why, position }
}
