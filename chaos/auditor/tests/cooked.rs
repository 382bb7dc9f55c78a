//! The judge can fail: each way to cook the books is found by its name.
#![allow(clippy::unwrap_used, reason = "a test may die")]

use std::fmt::Write as _;
use std::fs;

use log_auditor::{Audit, Books, Journals, Rule, Wishes, audit};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

/// The tables without their constraints: a log that lost its indexes must not fool the judge.
const TABLES: &str = "
    create table event (position integer, stream blob, version integer, event_id blob, category text, type text, data text);
    create table stream (stream blob, category text, name text);
    create table inbox (key text, position integer);
    create table checkpoint (name text, log blob, position integer);
    create table work_row (id blob, account text, cents integer);
    create table account (name text, n integer, cents integer);
    create table each_row (position integer, event_id blob);
    create table fold_row (follower text, stream text, n integer, version integer, digest integer);";

/// Store and journals of a small, honest run.
struct World {
    folder: TempDir,
    journal: String,
}

const fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl World {
    /// Three acknowledged appends (two events, one event under a key, a unit of work), a refused one, and one whose
    /// writer died before it knew.
    fn honest() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("journals")).unwrap();
        let world = Self {
            folder,
            journal: String::new(),
        };
        world.cook(TABLES);
        let rows = [
            (1, "hot", "a", 0, r#"{"token":"T1","part":0,"parts":2}"#),
            (2, "hot", "a", 1, r#"{"token":"T1","part":1,"parts":2}"#),
            (
                3,
                "keyed",
                "k",
                0,
                r#"{"token":"T2","part":0,"parts":1,"key":"K"}"#,
            ),
            (
                4,
                "work",
                "x",
                0,
                r#"{"token":"T3","part":0,"parts":1,"account":"x","cents":7}"#,
            ),
            (5, "hot", "a", 2, r#"{"token":"T5","part":0,"parts":1}"#),
        ];
        let mut digest = 0;
        for (position, category, name, version, data) in rows {
            digest = (digest * 1_000_003 + 2 * position) % 2_147_483_647;
            world.insert(position, category, name, version, data);
        }
        world.cook(&format!(
            "insert into stream values (x'01', 'hot', 'a'), (x'02', 'keyed', 'k'), (x'03', 'work', 'x');
             insert into inbox values ('K', 3);
             insert into checkpoint values ('projection/each', x'00', 5), ('projection/hot', x'00', 5), ('projection/fold', x'00', 5);
             insert into work_row values ({}, 'x', 7);
             insert into account values ('x', 1, 7);
             insert into each_row select position, event_id from event;
             insert into fold_row values ('fold', '', 5, 2, {digest});",
            blob(4),
        ));
        world.fold(&[("hot", "", &[1, 2, 5]), ("hot", "hot/a", &[1, 2, 5])], 2);
        world.fold(&[("fold", "hot/a", &[1, 2, 5])], 2);
        world.fold(&[("fold", "keyed/k", &[3]), ("fold", "work/x", &[4])], 0);
        world.with_journal()
    }

    fn insert(&self, position: i64, category: &str, name: &str, version: i64, data: &str) {
        let key = ["a", "k", "x"].iter().position(|known| *known == name);
        let stream = key.unwrap() + 1;
        let mut data = data.to_owned();
        for token in 1..=9 {
            data = data.replace(&format!("T{token}\""), &format!("{}\"", token_of(token)));
        }
        self.cook(&format!(
            "insert into event values ({position}, x'0{stream}', {version}, {}, '{category}', 'noted', '{data}')",
            blob(position as u128),
        ));
    }

    /// Ids are the positions here, so that a step of the digest adds twice the position.
    fn fold(&self, rows: &[(&str, &str, &[i64])], version: i64) {
        for (follower, stream, positions) in rows {
            let step = |digest: i64, at: &i64| (digest * 1_000_003 + 2 * at) % 2_147_483_647;
            let digest = positions.iter().fold(0, step);
            let n = positions.len();
            self.cook(&format!(
                "insert into fold_row values ('{follower}', '{stream}', {n}, {version}, {digest})"
            ));
        }
    }

    fn with_journal(mut self) -> Self {
        self.asks(1, "append", "\"hot/a\"", -1, 2, "null");
        self.answers(1, r#""what":"ack","position":2,"version":1,"ms":3"#);
        self.asks(2, "append", "\"keyed/k\"", -1, 1, "\"K\"");
        self.answers(2, r#""what":"unknown","ms":9"#);
        self.says("again", 2);
        self.answers(2, r#""what":"ack","position":3,"version":0,"ms":3"#);
        self.asks(3, "work", "null", -9, 1, "null");
        self.answers(3, r#""what":"ack","position":4,"version":null,"ms":3"#);
        self.asks(4, "append", "\"hot/a\"", 0, 1, "null");
        self.answers(4, r#""what":"refused","why":"conflict","ms":3"#);
        self.asks(5, "append", "\"hot/a\"", 1, 1, "null");
        self
    }

    /// -9 stands for any version.
    fn asks(&mut self, token: u128, how: &str, stream: &str, expected: i64, count: u64, key: &str) {
        let token = token_of(token);
        let expected = if expected == -9 {
            "null".to_owned()
        } else {
            expected.to_string()
        };
        writeln!(
            self.journal,
            r#"{{"what":"try","token":"{token}","how":"{how}","stream":{stream},"expected":{expected},"count":{count},"key":{key}}}"#
        )
        .unwrap();
    }

    fn answers(&mut self, token: u128, fields: &str) {
        let token = token_of(token);
        writeln!(self.journal, r#"{{"token":"{token}",{fields}}}"#).unwrap();
    }

    fn says(&mut self, what: &str, token: u128) {
        self.answers(token, &format!(r#""what":"{what}""#));
    }

    fn cook(&self, sql: &str) {
        let file = self.folder.path().join("chaos.db");
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }

    fn audit(&self) -> Audit {
        let journals = self.folder.path().join("journals");
        fs::write(journals.join("w-0.jsonl"), &self.journal).unwrap();
        let journals = Journals::read(&journals).unwrap();
        let url = format!("sqlite://{}", self.folder.path().display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let books = runtime.block_on(Books::read(&url, "chaos")).unwrap();
        let wishes = Wishes {
            followers: ["each", "fold", "hot"].map(str::to_owned).to_vec(),
            stuck_ms: 1_000,
        };
        audit(&books, &journals, &wishes)
    }

    fn breaks(&self, rule: Rule) {
        let audit = self.audit();
        let found: Vec<Rule> = audit
            .complaints
            .iter()
            .map(|complaint| complaint.rule)
            .collect();
        assert!(
            found.contains(&rule),
            "{rule:?} is not among\n{}",
            audit.sheet
        );
        assert!(audit.sheet.contains(&rule.to_string()), "{}", audit.sheet);
    }
}

fn token_of(number: u128) -> Uuid {
    uuid(0xa000 + number)
}

fn blob(number: u128) -> String {
    format!("x'{}'", uuid(number).simple())
}

#[test]
fn an_honest_run_adds_up() {
    let audit = World::honest().audit();
    assert_eq!(audit.complaints, [], "{}", audit.sheet);
    for line in [
        "3 acknowledged, 1 refused, 1 left unknown",
        "1 there, 0 not; by this audit: 1 there",
        "none: everything adds up",
    ] {
        assert!(
            audit.sheet.contains(line),
            "{line} is not in\n{}",
            audit.sheet
        );
    }
}

#[test]
fn a_deleted_row_is_a_hole_and_a_loss() {
    let world = World::honest();
    world.cook("delete from event where position = 3");
    world.breaks(Rule::PositionHole);
    world.breaks(Rule::Lost);
    world.breaks(Rule::InboxKey);
}

#[test]
fn a_log_that_lost_its_end_lost_what_was_acknowledged() {
    let world = World::honest();
    world.cook(
        "delete from event where position >= 4; update checkpoint set position = 3;
                delete from each_row where position >= 4",
    );
    world.breaks(Rule::Lost);
}

#[test]
fn swapped_positions_are_found() {
    let world = World::honest();
    world.cook("update event set position = 7 - position where position in (3, 4)");
    world.breaks(Rule::Misplaced);
    world.breaks(Rule::FollowerDiffers);
}

#[test]
fn events_swapped_within_an_append_are_found() {
    let world = World::honest();
    world.cook("update event set position = 3 - position where position < 3");
    world.breaks(Rule::VersionHole);
    world.breaks(Rule::Split);
}

#[test]
fn a_doubled_event_is_found_even_under_a_new_id() {
    let world = World::honest();
    world.insert(6, "hot", "a", 3, r#"{"token":"T1","part":1,"parts":2}"#);
    world.breaks(Rule::Twice);
    world.breaks(Rule::Split);
}

#[test]
fn a_hole_in_the_versions_is_found() {
    let world = World::honest();
    world.cook("update event set version = 5 where position = 5");
    world.breaks(Rule::VersionHole);
    world.breaks(Rule::Expectation);
}

#[test]
fn half_an_append_is_found() {
    let world = World::honest();
    world.cook("delete from event where position = 2");
    world.breaks(Rule::Split);
}

#[test]
fn an_event_nobody_asked_for_or_that_was_refused_is_found() {
    let world = World::honest();
    world.insert(6, "hot", "a", 3, r#"{"token":"T9","part":0,"parts":1}"#);
    world.breaks(Rule::Unasked);
    let world = World::honest();
    world.insert(6, "hot", "a", 3, r#"{"token":"T4","part":0,"parts":1}"#);
    world.breaks(Rule::Unasked);
}

#[test]
fn what_an_unanswered_attempt_left_is_no_finding_but_a_refused_one_is() {
    let mut world = World::honest();
    world.answers(5, r#""what":"refused","why":"unavailable","ms":3"#);
    world.breaks(Rule::Unasked);
    world.says("again", 5);
    assert_eq!(
        world.audit().complaints,
        [],
        "unavailable, then killed: it may be there"
    );
}

#[test]
fn a_repeat_that_is_answered_otherwise_is_found() {
    let mut world = World::honest();
    world.answers(1, r#""what":"ack","position":4,"version":1,"ms":3"#);
    world.breaks(Rule::Misled);
}

#[test]
fn a_refusal_that_blames_the_writer_is_found() {
    let mut world = World::honest();
    world.answers(5, r#""what":"refused","why":"invalid","ms":3"#);
    world.breaks(Rule::Misled);
}

#[test]
fn a_key_that_let_two_effects_through_is_found() {
    let mut world = World::honest();
    world.insert(
        6,
        "keyed",
        "k",
        1,
        r#"{"token":"T6","part":0,"parts":1,"key":"K"}"#,
    );
    world.asks(6, "append", "\"keyed/k\"", -9, 1, "\"K\"");
    world.breaks(Rule::InboxKey);
    let world = World::honest();
    world.cook("insert into inbox values ('nobody', 1)");
    world.breaks(Rule::InboxKey);
}

#[test]
fn rows_that_are_not_their_events_are_found() {
    for cooked in [
        "delete from work_row",
        "update account set cents = 8",
        "insert into work_row values (x'00000000000000000000000000000009', 'x', 0)",
    ] {
        let world = World::honest();
        world.cook(cooked);
        world.breaks(Rule::RowsDiffer);
    }
}

#[test]
fn a_row_that_a_follower_skipped_or_saw_out_of_order_is_found() {
    for cooked in [
        "delete from each_row where position = 3",
        "update each_row set position = 9 - position where position in (4, 5)",
        "update fold_row set n = n - 1 where follower = 'fold' and stream = 'hot/a'",
        "update fold_row set digest = digest + 1 where follower = 'hot' and stream = ''",
        "insert into fold_row values ('hot', 'keyed/k', 1, 0, 0)",
    ] {
        let world = World::honest();
        world.cook(cooked);
        world.breaks(Rule::FollowerDiffers);
    }
}

#[test]
fn a_follower_that_stays_behind_is_found() {
    let world = World::honest();
    world.cook("update checkpoint set position = 4 where name = 'projection/fold'");
    world.breaks(Rule::LeftBehind);
}

#[test]
fn a_call_that_hangs_is_found() {
    let mut world = World::honest();
    world.asks(7, "append", "\"hot/b\"", -1, 1, "null");
    world.answers(7, r#""what":"refused","why":"unavailable","ms":1001"#);
    world.breaks(Rule::Stuck);
}
