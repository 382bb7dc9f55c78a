//! Acknowledging, and what happens without.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::member::Member;
use super::stage::{QUIET, Source, Stage, counted, key_of, publish_all};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Stage>] = cases![
    what_is_acknowledged_does_not_come_again,
    what_is_given_back_comes_again_soon,
    only_what_is_acknowledged_is_dealt_with,
    a_slow_member_that_says_so_keeps_what_it_has,
    what_a_silent_member_has_goes_to_another,
    a_late_acknowledgement_hurts_nobody,
    a_client_holds_few_however_many_wait,
];

async fn what_is_acknowledged_does_not_come_again(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(10, 3);
    publish_all(&client, &sent).await;
    member.take_all(&sent).await;
    member.leave();
    let mut member = Member::join(&client, "readers").await;
    member.quiet(QUIET).await;
    let wait = stage.promises.redelivers_after.unwrap_or_default();
    member.quiet(wait + QUIET).await;
}

async fn what_is_given_back_comes_again_soon(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(10, 1);
    publish_all(&client, &sent).await;
    let _in_hand = member.take().await;
    member.leave();
    let mut member = Member::join(&client, "readers").await;
    member.take_all(&sent).await;
}

async fn only_what_is_acknowledged_is_dealt_with(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let sent = [1, 2, 3].map(|partition| source.next(&key_of(partition)));
    let mut taken = Vec::new();
    for envelope in &sent {
        publish_all(&client, std::slice::from_ref(envelope)).await;
        taken.push(member.take().await);
    }
    assert!(member.acknowledge(&taken[1]).await);
    member.leave();
    let mut member = Member::join(&client, "readers").await;
    let again = member.take_all(&[sent[0].clone(), sent[2].clone()]).await;
    assert!(!again.contains(&sent[1].message), "it was dealt with");
}

async fn a_slow_member_that_says_so_keeps_what_it_has(stage: Stage) {
    let (one, other) = (stage.client().await, stage.client().await);
    let mut slow = stage.joined(&one, "readers").await;
    let sent = [Source::new().next("a")];
    publish_all(&one, &sent).await;
    let in_hand = slow.take().await;
    let mut idle = stage.joined(&other, "readers").await;
    let wait = stage.promises.redelivers_after.unwrap_or(QUIET);
    let begun = Instant::now();
    while begun.elapsed() < wait * 3 {
        let extended = slow.subscription().await.extend(in_hand.receipt).await;
        extended.expect("the broker is there");
        idle.quiet(wait / 5).await;
    }
    assert!(slow.acknowledge(&in_hand).await);
    idle.quiet(wait + QUIET).await;
}

async fn what_a_silent_member_has_goes_to_another(stage: Stage) {
    let Some(wait) = stage.promises.redelivers_after else {
        return;
    };
    let (one, other) = (stage.client().await, stage.client().await);
    let mut silent = stage.joined(&one, "readers").await;
    let sent = [Source::new().next("a")];
    publish_all(&one, &sent).await;
    let _in_hand = silent.take().await;
    let mut idle = stage.joined(&other, "readers").await;
    let begun = Instant::now();
    idle.take_all(&sent).await;
    assert!(begun.elapsed() < wait + stage.promises.takes_over_within);
    let again = counted(&other, "stanchion_broker_messages_total", "redelivered");
    assert!(again > 0, "a redelivery is counted");
}

async fn a_late_acknowledgement_hurts_nobody(stage: Stage) {
    let Some(wait) = stage.promises.redelivers_after else {
        return;
    };
    let (one, other) = (stage.client().await, stage.client().await);
    let mut late = stage.joined(&one, "readers").await;
    let mut source = Source::new();
    let sent = [source.next("a"), source.next("a"), source.next("a")];
    publish_all(&one, &sent[..1]).await;
    let in_hand = late.take().await;
    sleep(wait + Duration::from_millis(100)).await;
    let mut quick = Member::join(&other, "readers").await;
    let again = quick.take().await;
    late.acknowledge(&in_hand).await;
    late.leave();
    quick.acknowledge(&again).await;
    publish_all(&other, &sent[1..]).await;
    quick.take_all(&sent[1..]).await;
}

async fn a_client_holds_few_however_many_wait(stage: Stage) {
    let client = stage.client().await;
    stage.joined(&client, "readers").await.leave();
    let sent = Source::new().rounds(50, 10);
    publish_all(&client, &sent).await;
    let mut member = Member::join(&client, "readers").await;
    let taken = member.take().await;
    sleep(QUIET).await;
    let held = counted(&client, "stanchion_broker_held", "readers") as usize;
    let most = stage.promises.held_max;
    assert!(held >= 1 && held <= most, "{held} of at most {most}");
    assert!(taken.messages.len() <= most);
    member.acknowledge(&taken).await;
    let left: Vec<_> = sent
        .iter()
        .filter(|one| !taken.messages.contains(&one.message))
        .cloned()
        .collect();
    member.take_all(&left).await;
}
