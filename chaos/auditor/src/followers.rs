//! What followers made of the log, against a replay.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::Wishes;
use crate::books::{Books, Event, Fold};
use crate::findings::{Findings, Rule};

/// The follower that wants one category only.
const PICKY: (&str, &str) = ("hot", "hot");

/// The follower that keeps a row per entry.
const EACH: &str = "each";

/// Digests stay below this prime, so that a step fits into 64 bits in any database.
const MODULUS: i64 = 2_147_483_647;
const FACTOR: i64 = 1_000_003;

pub(crate) fn judge(books: &Books, wishes: &Wishes, findings: &mut Findings) {
    let head = books.head();
    for name in &wishes.followers {
        let at = books.checkpoint(name).unwrap_or(0);
        findings.require(at == head, Rule::LeftBehind, || {
            format!("{name} is at {at}, the log at {head}")
        });
        let followed = books.events.iter().filter(|event| event.position <= at);
        if name == EACH {
            each(books, followed, findings);
        } else {
            folded(name, books, followed, findings);
        }
    }
}

/// A row per entry: the position that is missing can be named.
fn each<'a>(books: &Books, followed: impl Iterator<Item = &'a Event>, findings: &mut Findings) {
    let mut rows: BTreeMap<i64, Uuid> = books.each.iter().copied().collect();
    for event in followed {
        let at = event.position;
        match rows.remove(&at) {
            None => findings.complain(
                Rule::FollowerDiffers,
                format!("{EACH} has skipped position {at}"),
            ),
            Some(id) => findings.require(id == event.id, Rule::FollowerDiffers, || {
                format!("{EACH} saw {id} at position {at}, there is {}", event.id)
            }),
        }
    }
    for (at, id) in rows {
        findings.complain(
            Rule::FollowerDiffers,
            format!("{EACH} saw {id} at {at}, which is not there"),
        );
    }
}

/// A digest per stream and one of everything, each depending on the order.
fn folded<'a>(
    name: &str,
    books: &Books,
    followed: impl Iterator<Item = &'a Event>,
    findings: &mut Findings,
) {
    let mut due: BTreeMap<&str, Fold> = BTreeMap::new();
    for event in followed {
        if name == PICKY.0 && event.category != PICKY.1 {
            continue;
        }
        for stream in [event.stream.as_str(), ""] {
            due.entry(stream).or_default().take(event);
        }
    }
    let mut rows: BTreeMap<&str, &Fold> = books
        .folds
        .iter()
        .filter(|fold| fold.follower == name)
        .map(|fold| (fold.stream.as_str(), fold))
        .collect();
    for (stream, due) in due {
        let row = rows.remove(stream);
        let same = row.is_some_and(|row| row.says() == due.says());
        findings.require(same, Rule::FollowerDiffers, || {
            let said = row.map(Fold::says);
            let whose = if stream.is_empty() {
                "everything"
            } else {
                stream
            };
            format!(
                "{name} has (n, version, digest) {said:?} for {whose}, a replay {:?}",
                due.says()
            )
        });
    }
    for (stream, row) in rows {
        let said = row.says();
        findings.complain(
            Rule::FollowerDiffers,
            format!("{name} has {said:?} for {stream}, a replay nothing"),
        );
    }
}

impl Fold {
    fn take(&mut self, event: &Event) {
        let tail = (event.id.as_u128() as u64 % MODULUS as u64) as i64;
        let entry = (tail + event.position) % MODULUS;
        self.n += 1;
        self.version = event.version;
        self.digest = (self.digest * FACTOR + entry) % MODULUS;
    }

    fn says(&self) -> (i64, i64, i64) {
        (self.n, self.version, self.digest)
    }
}
