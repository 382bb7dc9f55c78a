//! Closing: while handling, under load, again and again.

use std::collections::HashSet;
use std::time::Duration;

use stanchion_messaging::Message;
use stanchion_runtime::{random, task};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::member::{Member, assert_in_order};
use super::stage::{QUIET, STEP_MAX, Source, Stage, publish, publish_all, undecodable};
use crate::conformance::{Case, cases};

/// More than any broker's limit of deliveries.
const GENERATIONS: usize = 25;

pub(super) const CASES: &[Case<Stage>] = cases![
    a_client_that_closes_while_handling_gives_back,
    a_message_given_back_many_times_is_no_dead_letter,
    a_shutdown_under_load_loses_nothing_and_dead_letters_nothing,
];

async fn a_client_that_closes_while_handling_gives_back(stage: Stage) {
    let closing = stage.direct().await;
    let mut member = stage.joined(&closing, "readers").await;
    let sent = Source::new().rounds(20, 2);
    publish_all(&closing, &sent).await;
    let _in_hand = member.take().await;
    let begun = Instant::now();
    member.leave();
    drop(closing);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "closing waits for nobody"
    );
    let client = stage.direct().await;
    let mut next = Member::join(&client, "readers").await;
    assert_in_order(&next.take_all(&sent).await);
}

async fn a_message_given_back_many_times_is_no_dead_letter(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let sent = [Source::new().next("a")];
    publish_all(&client, &sent).await;
    for _ in 0..GENERATIONS {
        let _in_hand = member.take().await;
        member.leave();
        member = Member::join(&client, "readers").await;
    }
    member.take_all(&sent).await;
    assert_eq!(undecodable(&client), 0);
    assert_eq!(stage.broker.dead_lettered(&stage.prefix).await, 0);
}

/// Services are replaced one after the other while messages come in; each stops in the middle of its work.
async fn a_shutdown_under_load_loses_nothing_and_dead_letters_nothing(stage: Stage) {
    let publisher = stage.client().await;
    stage.joined(&publisher, "readers").await.leave();
    let sent = Source::new().rounds(30, 10);
    let load = sent.clone();
    let publishing = task::spawn("load", async move {
        for envelope in &load {
            publish(&publisher, envelope).await;
            sleep(Duration::from_millis(3)).await;
        }
    });
    let (mut handled, mut undecoded) = (Vec::<Message>::new(), 0);
    let begun = Instant::now();
    while !all(&handled, &sent) {
        assert!(begun.elapsed() < STEP_MAX * 2, "{} handled", handled.len());
        let client = stage.direct().await;
        let mut member = Member::join(&client, "readers").await;
        let life = QUIET / 4 + random::jitter(QUIET);
        let end = Instant::now() + life;
        // The last one taken is in its hands when it goes.
        while let Some(taken) = member.take_within(QUIET).await {
            if Instant::now() >= end {
                break;
            }
            handled.extend(taken.messages.clone());
            member.acknowledge(&taken).await;
        }
        undecoded += undecodable(&client);
    }
    publishing.await.unwrap();
    assert_in_order(&handled);
    assert_eq!(undecoded, 0);
    assert_eq!(stage.broker.dead_lettered(&stage.prefix).await, 0);
}

fn all(handled: &[Message], sent: &[stanchion_messaging::Envelope]) -> bool {
    let ids: HashSet<Uuid> = handled.iter().map(|message| message.id).collect();
    sent.iter()
        .all(|envelope| ids.contains(&envelope.message.id))
}
