//! Refresh tokens with an overlap, on two replicas: on an embedded store they are two of one process.

use serde_json::json;
use stanchion::runtime::task;
use stanchion_testing::servers;

use crate::support::{Place, Reply, Shop};

async fn refresh(shop: &Shop, token: &str) -> Reply {
    let body = json!({"refresh_token": token});
    shop.post("/auth/refresh").json(body).send().await
}

fn token(reply: &Reply) -> String {
    let text = reply.expect(200)["refresh_token"].as_str();
    text.unwrap().to_owned()
}

async fn every_story(one: &Shop, other: &Shop) {
    e5_fifty_at_once_get_the_same_child(one, other).await;
    e5_a_grandparent_ends_the_family(one, other).await;
    e5_only_the_last_but_one_is_answered_and_no_longer_when_its_child_was_used(one, other).await;
    nothing_is_answered_again_after_a_logout(one, other).await;
}

async fn e5_fifty_at_once_get_the_same_child(one: &Shop, other: &Shop) {
    let ada = one.register("ada").await;
    let mut live = ada.refresh_token.clone();
    for round in 0..5 {
        let uses = (0..50).map(|nth| {
            let shop = [one, other][nth % 2].clone();
            let token = live.clone();
            task::spawn("refresh", async move { refresh(&shop, &token).await })
        });
        let mut children = Vec::new();
        for used in uses.collect::<Vec<_>>() {
            children.push(token(&used.await.unwrap()));
        }
        children.dedup();
        assert_eq!(children.len(), 1, "round {round}");
        assert_ne!(children[0], live);
        live.clone_from(&children[0]);
    }
    assert_eq!(one.sessions(&one.login("ada").await).await.len(), 2);
}

async fn e5_a_grandparent_ends_the_family(one: &Shop, other: &Shop) {
    let first = one.register("bob").await.refresh_token;
    let second = token(&refresh(one, &first).await);
    let third = token(&refresh(other, &second).await);
    assert_eq!(token(&refresh(one, &second).await), third);
    refresh(other, &first).await.refused(401, "UNAUTHENTICATED");
    for dead in [&second, &third] {
        refresh(one, dead).await.refused(401, "UNAUTHENTICATED");
    }
}

async fn e5_only_the_last_but_one_is_answered_and_no_longer_when_its_child_was_used(
    one: &Shop,
    other: &Shop,
) {
    let first = one.register("cyd").await.refresh_token;
    let second = token(&refresh(one, &first).await);
    assert_eq!(token(&refresh(other, &first).await), second);
    token(&refresh(other, &second).await);
    refresh(one, &first).await.refused(401, "UNAUTHENTICATED");
}

async fn nothing_is_answered_again_after_a_logout(one: &Shop, other: &Shop) {
    let dan = one.register("dan").await;
    token(&refresh(one, &dan.refresh_token).await);
    assert_eq!(other.post("/auth/logout").by(&dan).send().await.status, 204);
    refresh(one, &dan.refresh_token)
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn within_the_overlap_there_is_one_child_on_sqlite() {
    let one = Shop::on(Place::temporary().with_overlap(10_000)).await;
    every_story(&one, &one.replica().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn within_the_overlap_there_is_one_child_on_postgres() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let (one, other) = Shop::pair_in(Place::on(&url).with_overlap(10_000)).await;
    every_story(&one, &other).await;
}

#[tokio::test]
async fn e6_after_a_restart_the_same_child_is_given_again_and_after_the_overlap_none() {
    // Longer than a busy machine takes for a restart.
    let shop = Shop::on(Place::temporary().with_overlap(6_000)).await;
    let ada = shop.register("ada").await;
    let child = token(&refresh(&shop, &ada.refresh_token).await);
    let shop = shop.restarted().await;
    assert_eq!(token(&refresh(&shop, &ada.refresh_token).await), child);
    tokio::time::sleep(std::time::Duration::from_millis(6_000)).await;
    refresh(&shop, &ada.refresh_token)
        .await
        .refused(401, "UNAUTHENTICATED");
    refresh(&shop, &child).await.refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn refreshes_are_counted_by_what_came_of_them() {
    let shop = Shop::on(Place::temporary().with_overlap(10_000)).await;
    let first = shop.register("ada").await.refresh_token;
    let second = token(&refresh(&shop, &first).await);
    token(&refresh(&shop, &first).await);
    token(&refresh(&shop, &second).await);
    for dead in [&first, &second, "rt_x"] {
        refresh(&shop, dead).await.refused(401, "UNAUTHENTICATED");
    }
    let counted = shop.metrics.encode();
    for line in [
        "shop_identity_refreshes_total{outcome=\"rotated\"} 2",
        "shop_identity_refreshes_total{outcome=\"overlap\"} 1",
        "shop_identity_refreshes_total{outcome=\"reused\"} 1",
        "shop_identity_refreshes_total{outcome=\"revoked\"} 1",
        "shop_identity_refreshes_total{outcome=\"unknown\"} 1",
        "shop_identity_families_reused_total 1",
        "shop_identity_overlap_answers_total 1",
    ] {
        assert!(counted.contains(&format!("{line}\n")), "{line}\n{counted}");
    }
}
