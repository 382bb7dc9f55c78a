//! Order by key.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::member::{Member, assert_in_order};
use super::stage::{
    CONTRACT, QUIET, Source, Stage, key_of, publish, publish_all, publish_together,
};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Stage>] = cases![
    each_key_is_in_order,
    each_key_is_in_order_over_a_redelivery,
    each_key_is_in_order_when_a_member_goes_away,
    the_next_of_a_partition_waits_until_another_member_has_dealt_with_the_first,
    links_join_without_a_hole,
    what_is_handed_over_at_once_arrives_whole_and_in_its_order,
];

async fn each_key_is_in_order(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(8, 30);
    publish_all(&client, &sent).await;
    assert_in_order(&member.take_all(&sent).await);
}

async fn each_key_is_in_order_over_a_redelivery(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(4, 40);
    publish_all(&client, &sent).await;
    let mut handled = Vec::new();
    for round in 0..4 {
        // Some dealt with, the next in hand when it goes; who is given much at once has dealt with all of it sooner.
        for _ in 0..round {
            let Some(taken) = member.take_within(QUIET).await else {
                break;
            };
            handled.extend(taken.messages.clone());
            member.acknowledge(&taken).await;
        }
        let _in_hand = member.take_within(QUIET).await;
        member.leave();
        member = Member::join(&client, "readers").await;
    }
    let seen = handled.clone();
    let left: Vec<_> = sent
        .iter()
        .filter(|one| !seen.iter().any(|message| message.id == one.message.id))
        .cloned()
        .collect();
    handled.extend(member.take_all(&left).await);
    assert_in_order(&handled);
}

async fn each_key_is_in_order_when_a_member_goes_away(stage: Stage) {
    let (one, other) = (stage.direct().await, stage.direct().await);
    let mut leaving = stage.joined(&one, "readers").await;
    let mut staying = stage.joined(&other, "readers").await;
    let sent = Source::new().rounds(6, 10);
    publish_all(&other, &sent).await;
    let mut handled = Vec::new();
    if let Some(taken) = leaving.take_within(QUIET).await {
        handled.extend(taken.messages.clone());
        leaving.acknowledge(&taken).await;
    }
    let _in_hand = leaving.take_within(QUIET).await;
    leaving.leave();
    drop(one);
    let left: Vec<_> = sent
        .iter()
        .filter(|one| !handled.iter().any(|message| message.id == one.message.id))
        .cloned()
        .collect();
    handled.extend(staying.take_all(&left).await);
    assert_in_order(&handled);
}

async fn the_next_of_a_partition_waits_until_another_member_has_dealt_with_the_first(stage: Stage) {
    let (one, other) = (stage.client().await, stage.client().await);
    let mut first = stage.joined(&one, "readers").await;
    let mut source = Source::new();
    let key = key_of(3);
    let sent: Vec<_> = (0..3).map(|_| source.next(&key)).collect();
    publish_all(&one, &sent[..1]).await;
    let in_hand = first.take().await;
    publish_all(&one, &sent[1..]).await;
    let mut second = stage.joined(&other, "readers").await;
    let patience = stage.promises.redelivers_after.unwrap_or(QUIET) / 2;
    second.quiet(patience.min(QUIET)).await;
    first.acknowledge(&in_hand).await;
    first.leave();
    drop(one);
    let came = second.take_all(&sent[1..]).await;
    assert_in_order(&came);
}

async fn links_join_without_a_hole(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let mut sent = source.rounds(20, 4);
    // What the group does not want is a chain of its own, of which it is given nothing.
    let other = |index: usize| {
        if index.is_multiple_of(3) {
            "suite.other.v1"
        } else {
            "suite.thing_happened.v1"
        }
    };
    let mut chains = HashMap::new();
    for (index, envelope) in sent.iter_mut().enumerate() {
        envelope.message.contract = other(index).to_owned();
        let chain = (envelope.partition, other(index));
        let position = envelope.message.origin.position;
        envelope.prev = chains.insert(chain, position).unwrap_or_default();
    }
    publish_all(&client, &sent).await;
    let (mut last, mut links) = ([0; 16], 0);
    let wanted = (0..sent.len()).filter(|index| !index.is_multiple_of(3));
    let wanted = wanted.count();
    while links < wanted {
        let next = async { member.subscription().await.next().await };
        let delivery = tokio::time::timeout(Duration::from_secs(60), next).await;
        let taken = super::member::Taken::of(delivery.unwrap().unwrap());
        assert_eq!(taken.links.len(), taken.messages.len());
        for link in &taken.links {
            let last = &mut last[usize::from(link.partition)];
            assert_eq!(link.prev.0, *last, "a hole before {link:?}");
            *last = link.position.0;
            links += 1;
        }
        assert!(member.acknowledge(&taken).await);
    }
}

async fn what_is_handed_over_at_once_arrives_whole_and_in_its_order(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let (mut source, key) = (Source::new(), key_of(5));
    let mut sent: Vec<_> = (0..70).map(|_| source.next(&key)).collect();
    // More than an adapter may want to have in one piece.
    let long = json!({ "text": "x".repeat(stage.promises.body_bytes_max / 12) });
    sent.push(source.next_with(&key, CONTRACT, long));
    sent.extend((0..9).map(|_| source.next(&key)));
    publish_together(&client, &sent).await;
    // As a relay that did not hear of it, and then goes on one by one.
    publish_together(&client, &sent[3..]).await;
    let last = source.next(&key);
    publish(&client, &last).await;
    sent.push(last);
    let (mut prev, mut came) = (0, Vec::new());
    while came.len() < sent.len() {
        let taken = member.take().await;
        assert!(member.acknowledge(&taken).await);
        for (message, link) in taken.messages.into_iter().zip(taken.links) {
            if link.position.0 > prev {
                assert_eq!(link.prev.0, prev, "a hole before {link:?}");
                prev = link.position.0;
                came.push(message);
            }
        }
    }
    let sent: Vec<_> = sent.into_iter().map(|envelope| envelope.message).collect();
    assert!(came == sent, "they are other messages");
}
