use serde_json::json;
use stanchion::runtime::task;

use crate::support::{Reply, Shop};

async fn refresh(shop: &Shop, token: &str) -> Reply {
    let body = json!({"refresh_token": token});
    shop.post("/auth/refresh").json(body).send().await
}

fn token(reply: &Reply) -> String {
    reply.expect(200)["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_one() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let mut next = ada.refresh_token.clone();
    for _ in 0..3 {
        let reply = refresh(&shop, &next).await;
        assert_ne!(token(&reply), next);
        next = token(&reply);
        let ada = ada.with_tokens(reply.expect(200));
        shop.get("/users/me").by(&ada).send().await.expect(200);
    }
    assert_eq!(shop.sessions(&ada).await.len(), 1);
}

#[tokio::test]
async fn e4_a_second_use_ends_the_whole_family() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let elsewhere = shop.login("ada").await;
    let second = refresh(&shop, &ada.refresh_token).await;
    let third = refresh(&shop, &token(&second)).await;
    refresh(&shop, &ada.refresh_token)
        .await
        .refused(401, "UNAUTHENTICATED");
    for dead in [&token(&second), &token(&third), &ada.refresh_token] {
        refresh(&shop, dead).await.refused(401, "UNAUTHENTICATED");
    }
    for dead in [
        &ada,
        &ada.with_tokens(second.expect(200)),
        &ada.with_tokens(third.expect(200)),
    ] {
        shop.get("/users/me")
            .by(dead)
            .send()
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    let recorded = shop.recorded("refresh_reused").await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0]["user_id"], json!(ada.id));
    // Another login is another family.
    shop.get("/users/me")
        .by(&elsewhere)
        .send()
        .await
        .expect(200);
    refresh(&shop, &elsewhere.refresh_token).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e5_of_fifty_uses_at_once_one_succeeds_and_then_the_family_has_ended() {
    let shop = Shop::open().await;
    for round in 0..5 {
        let ada = shop.register(&format!("ada{round}")).await;
        let uses = (0..50).map(|_| {
            let (shop, token) = (shop.clone(), ada.refresh_token.clone());
            task::spawn("request", async move { refresh(&shop, &token).await })
        });
        let mut won = Vec::new();
        for used in uses.collect::<Vec<_>>() {
            let reply = used.await.unwrap();
            if reply.status == 200 {
                won.push(reply);
            } else {
                reply.refused(401, "UNAUTHENTICATED");
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        refresh(&shop, &token(&won[0]))
            .await
            .refused(401, "UNAUTHENTICATED");
        let winner = ada.with_tokens(won[0].expect(200));
        shop.get("/users/me")
            .by(&winner)
            .send()
            .await
            .refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn e6_a_token_used_before_a_restart_is_refused_after_it() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let next = token(&refresh(&shop, &ada.refresh_token).await);
    let shop = shop.restarted().await;
    refresh(&shop, &ada.refresh_token)
        .await
        .refused(401, "UNAUTHENTICATED");
    refresh(&shop, &next).await.refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn tokens_and_keys_survive_a_restart() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let shop = shop.restarted().await;
    shop.get("/users/me").by(&ada).send().await.expect(200);
    refresh(&shop, &ada.refresh_token).await.expect(200);
}

#[tokio::test]
async fn e6_no_token_comes_out_of_a_logged_out_session() {
    let shop = Shop::open().await;
    for round in 0..10 {
        let ada = shop.register(&format!("ada{round}")).await;
        let (refreshed, left) = tokio::join!(
            refresh(&shop, &ada.refresh_token),
            shop.post("/auth/logout").by(&ada).send(),
        );
        assert_eq!(left.status, 204);
        if refreshed.status == 200 {
            refresh(&shop, &token(&refreshed))
                .await
                .refused(401, "UNAUTHENTICATED");
        }
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_alike() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let mut other = ada.refresh_token.clone();
    other.replace_range(10..14, "AAAA");
    for token in [
        "",
        "x",
        "rt_",
        &other,
        &ada.access_token,
        &"rt_A".repeat(1_000),
    ] {
        let reply = refresh(&shop, token).await;
        reply.refused(401, "UNAUTHENTICATED");
        assert!(!reply.body.to_string().contains("rt_"));
    }
    shop.get("/users/me").by(&ada).send().await.expect(200);
}
