//! The connection and the server fail.

use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::task;
use tokio::time::{Instant, sleep};

use super::member::{Member, assert_in_order};
use super::stage::{Source, Stage, publish, publish_all, store_id};
use super::{Client, ServerChange};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Stage>] = cases![
    a_publisher_survives_cut_connections,
    a_subscription_survives_cut_connections,
    a_stalled_connection_is_an_error_within_the_bound,
    a_killed_server_loses_nothing_that_it_confirmed,
    a_broker_that_is_missing_at_the_start_is_met_later,
    a_wiped_store_is_told_and_works_again,
];

/// Cuts while messages go out; then everything is there, in order.
async fn a_publisher_survives_cut_connections(stage: Stage) {
    let (client, direct) = (stage.client().await, stage.direct().await);
    let mut member = stage.joined(&direct, "readers").await;
    let sent = Source::new().rounds(10, 20);
    let load = sent.clone();
    let publishing = task::spawn("load", async move { publish_all(&client, &load).await });
    for _ in 0..4 {
        sleep(Duration::from_millis(60)).await;
        stage.proxy.sever();
    }
    assert_in_order(&member.take_all(&sent).await);
    publishing.await.unwrap();
}

async fn a_subscription_survives_cut_connections(stage: Stage) {
    let (client, direct) = (stage.client().await, stage.direct().await);
    let mut member = stage.joined(&client, "readers").await;
    let sent = Source::new().rounds(10, 20);
    let load = sent.clone();
    let publishing = task::spawn("load", async move { publish_all(&direct, &load).await });
    let proxy = stage.proxy;
    let cutting = task::spawn("cuts", async move {
        for _ in 0..4 {
            sleep(Duration::from_millis(80)).await;
            proxy.sever();
        }
        proxy
    });
    assert_in_order(&member.take_all(&sent).await);
    publishing.await.unwrap();
    let proxy = cutting.await.unwrap();
    proxy.sever();
    let (direct, last) = (
        stage
            .broker
            .connect(stage.broker.address(), &stage.prefix)
            .await,
        [Source::new().next("z")],
    );
    publish_all(&direct, &last).await;
    member.take_all(&last).await;
}

async fn a_stalled_connection_is_an_error_within_the_bound(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let first = [source.next("a")];
    publish_all(&client, &first).await;
    member.take_all(&first).await;
    stage.proxy.stall(true);
    let next = source.next("a");
    let bound = stage.promises.confirms_within;
    let begun = Instant::now();
    assert!(client.publisher.publish(&next).await.is_err());
    let took = begun.elapsed();
    assert!(took < bound + Duration::from_secs(2), "{took:?}");
    stage.proxy.stall(false);
    publish(&client, &next).await;
    member.take_all(&[next]).await;
}

/// Killed twice while messages go out and come in.
async fn a_killed_server_loses_nothing_that_it_confirmed(stage: Stage) {
    if !stage.promises.survives_kill {
        return;
    }
    let client = Arc::new(stage.client().await);
    let mut member = stage.joined(&client, "readers").await;
    let known = store_id(&client).await;
    let sent = Source::new().rounds(10, 15);
    let (load, publisher) = (sent.clone(), Arc::clone(&client));
    let publishing = task::spawn("load", async move {
        publish_all(&publisher, &load).await;
    });
    let wanted = sent.clone();
    let taking = task::spawn("member", async move {
        let came = member.take_all(&wanted).await;
        (member, came)
    });
    for _ in 0..2 {
        sleep(Duration::from_millis(150)).await;
        stage.server(&[ServerChange::Kill]).await;
        sleep(Duration::from_millis(300)).await;
        stage.server(&[ServerChange::Start]).await;
    }
    publishing.await.unwrap();
    let (_member, came) = taking.await.unwrap();
    assert_in_order(&came);
    assert_eq!(store_id(&client).await, known, "it is the same store");
}

async fn a_broker_that_is_missing_at_the_start_is_met_later(stage: Stage) {
    stage.server(&[ServerChange::Kill]).await;
    let client = Arc::new(stage.client().await);
    let mut source = Source::new();
    let sent = [source.next("a"), source.next("b")];
    let begun = Instant::now();
    assert!(client.publisher.publish(&sent[0]).await.is_err());
    let bound = stage.promises.confirms_within + Duration::from_secs(2);
    assert!(begun.elapsed() < bound, "{:?}", begun.elapsed());
    assert!(client.publisher.store_id().await.is_err());
    let joining = Arc::clone(&client);
    let member = task::spawn(
        "member",
        async move { Member::join(&joining, "readers").await },
    );
    sleep(Duration::from_millis(300)).await;
    stage.server(&[ServerChange::Start]).await;
    let mut member = member.await.unwrap();
    // Where a group is made by its first wait.
    let settled = member.take_within(Duration::from_secs(2)).await;
    assert!(settled.is_none_or(|taken| taken.messages[0].id == sent[0].message.id));
    publish_all(&client, &sent).await;
    member.take_all(&sent[1..]).await;
}

async fn a_wiped_store_is_told_and_works_again(stage: Stage) {
    let client = stage.client().await;
    let mut member = stage.joined(&client, "readers").await;
    let mut source = Source::new();
    let before = source.rounds(5, 2);
    publish_all(&client, &before).await;
    let _in_hand = member.take().await;
    let known = store_id(&client).await;
    let wiped = &[ServerChange::Kill, ServerChange::Wipe, ServerChange::Start];
    stage.server(wiped).await;
    assert_ne!(store_id(&client).await, known, "it lost everything");
    // What the log still has is announced again, under the same transport ids or new ones.
    member = rejoined(&client, member).await;
    publish_all(&client, &before).await;
    let after = source.rounds(5, 2);
    publish_all(&client, &after).await;
    member.take_all(&after).await;
}

/// What a consumer does sooner or later: an error of what it had in hand ends the subscription.
async fn rejoined(client: &Client, member: Member) -> Member {
    member.leave();
    let mut member = Member::join(client, "readers").await;
    let _early = member.take_within(Duration::from_secs(1)).await;
    member
}
