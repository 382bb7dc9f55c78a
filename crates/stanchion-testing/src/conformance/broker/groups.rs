//! Groups: each gets everything, its members share it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use parking_lot::Mutex;
use serde_json::json;
use stanchion_messaging::Message;
use stanchion_runtime::task;
use tokio::time::sleep;
use uuid::Uuid;

use super::member::{Ledger, Member, assert_in_order};
use super::stage::{CONTRACT, QUIET, Source, Stage, publish_all};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Stage>] = cases![
    each_group_gets_everything,
    members_of_a_group_share_and_a_partition_has_one_of_them,
    a_group_gets_only_what_it_wants_and_every_version_of_it,
    a_late_group_gets_what_was_there_before,
    groups_do_not_wait_for_each_other,
];

async fn each_group_gets_everything(stage: Stage) {
    let client = stage.client().await;
    let mut readers = stage.joined(&client, "readers").await;
    let mut writers = stage.joined(&client, "writers").await;
    let sent = Source::new().rounds(10, 5);
    publish_all(&client, &sent).await;
    let (read, written) = join(readers.take_all(&sent), writers.take_all(&sent)).await;
    assert_in_order(&read);
    assert_in_order(&written);
}

async fn members_of_a_group_share_and_a_partition_has_one_of_them(stage: Stage) {
    const MEMBERS: usize = 3;
    let publisher = stage.client().await;
    let ledger = Arc::new(Ledger::default());
    let came = Arc::new(Mutex::new(Vec::<(usize, Message)>::new()));
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let client = stage.client().await;
        let mut member = stage.joined(&client, "readers").await;
        let (ledger, came) = (Arc::clone(&ledger), Arc::clone(&came));
        members.push(task::spawn("member", async move {
            let _client = client;
            loop {
                let taken = member.take().await;
                ledger.took(number, &member.tenures(&taken));
                sleep(Duration::from_millis(5)).await;
                let messages = taken.messages.iter().cloned();
                came.lock()
                    .extend(messages.map(|message| (number, message)));
                ledger.gives(number, &taken);
                member.acknowledge(&taken).await;
            }
        }));
    }
    let sent = Source::new().rounds(40, 5);
    publish_all(&publisher, &sent).await;
    let wanted: HashSet<Uuid> = sent.iter().map(|one| one.message.id).collect();
    let all = || {
        let came = came.lock();
        let ids: HashSet<Uuid> = came.iter().map(|(_, message)| message.id).collect();
        ids.is_superset(&wanted)
    };
    for _ in 0..6_000 {
        // A member that panicked has seen something wrong.
        assert!(!members.iter().any(task::Task::is_finished));
        if all() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(all(), "some are lost");
    members.iter().for_each(task::Task::abort);
    let came = came.lock();
    let messages: Vec<Message> = came.iter().map(|(_, message)| message.clone()).collect();
    assert_in_order(&messages);
    let busy: HashSet<usize> = came.iter().map(|(number, _)| *number).collect();
    assert!(busy.len() > 1 || !stage.promises.members_share, "{busy:?}");
}

async fn a_group_gets_only_what_it_wants_and_every_version_of_it(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let mut other = |contract: &str| source.next_with("a", contract, json!({}));
    let unwanted = [
        "suite.other_thing.v1",
        "suite.thing_happened_twice.v1",
        "other.thing_happened.v1",
    ];
    let unwanted = unwanted.map(&mut other);
    let newer = other("suite.thing_happened.v2");
    let own = other(CONTRACT);
    publish_all(&client, &unwanted).await;
    let sent = [newer, own];
    publish_all(&client, &sent).await;
    for message in member.take_all(&sent).await {
        assert!(
            message.contract.starts_with("suite.thing_happened.v"),
            "{}",
            message.contract
        );
    }
    member.quiet(QUIET).await;
}

async fn a_late_group_gets_what_was_there_before(stage: Stage) {
    if !stage.promises.late_groups_see_all {
        return;
    }
    let client = stage.client().await;
    let sent = Source::new().rounds(10, 3);
    publish_all(&client, &sent).await;
    let mut late = Member::join(&client, "late").await;
    assert_in_order(&late.take_all(&sent).await);
}

async fn groups_do_not_wait_for_each_other(stage: Stage) {
    let client = stage.client().await;
    let mut slow = stage.joined(&client, "slow").await;
    let mut quick = stage.joined(&client, "quick").await;
    let sent = Source::new().rounds(5, 20);
    publish_all(&client, &sent).await;
    let _in_hand = slow.take().await;
    quick.take_all(&sent).await;
}
