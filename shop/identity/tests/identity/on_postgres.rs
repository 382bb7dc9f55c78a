//! What depends on how a store locks, on two replicas of a real PostgreSQL.

use serde_json::json;
use stanchion::runtime::task;
use stanchion_testing::servers;

use crate::support::{Reply, Shop, User, registration};

const JWKS: &str = "/.well-known/jwks.json";

/// One server for all of them: starting one takes longer than the stories.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_agree() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let (one, other) = Shop::pair_at(&url).await;
    they_made_one_administrator_and_one_key(&one, &other).await;
    of_fifty_refreshes_at_once_one_succeeds(&one, &other).await;
    of_eight_registrations_of_a_username_one_succeeds(&one, &other).await;
    an_address_that_is_left_at_this_moment_is_nobody_elses(&one, &other).await;
    an_administrator_remains(&one, &other).await;
    no_token_comes_out_of_a_logged_out_session(&one, &other).await;
    every_sort_is_paged_without_a_hole(&one).await;
    other.login("racer0").await;
}

async fn they_made_one_administrator_and_one_key(one: &Shop, other: &Shop) {
    let admin = one.admin().await;
    let users = other.get("/users").by(&admin).send().await;
    assert_eq!(ids(&users).len(), 1);
    let (keys, same) = (one.root(JWKS).await.body, other.root(JWKS).await.body);
    assert_eq!((keys["keys"].as_array().unwrap().len(), &keys), (1, &same));
}

async fn of_fifty_refreshes_at_once_one_succeeds(one: &Shop, other: &Shop) {
    for round in 0..5 {
        let racer = one.register(&format!("racer{round}")).await;
        let uses = (0..50).map(|nth| {
            let shop = if nth % 2 == 0 {
                one.clone()
            } else {
                other.clone()
            };
            let token = racer.refresh_token.clone();
            task::spawn("refresh", async move { refresh(&shop, &token).await })
        });
        let mut won = Vec::new();
        for used in uses.collect::<Vec<_>>() {
            let reply = used.await.unwrap();
            match reply.status {
                200 => won.push(reply),
                503 => drop(reply.refused(503, "UNAVAILABLE")),
                _ => drop(reply.refused(401, "UNAUTHENTICATED")),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let child = won[0].expect(200)["refresh_token"].as_str().unwrap();
        refresh(other, child).await.refused(401, "UNAUTHENTICATED");
    }
}

async fn of_eight_registrations_of_a_username_one_succeeds(one: &Shop, other: &Shop) {
    let asking = (0..8).map(|nth| {
        let shop = if nth % 2 == 0 {
            one.clone()
        } else {
            other.clone()
        };
        let mut body = registration("wanted");
        body["email"] = json!(format!("wanted{nth}@example.com"));
        task::spawn("register", async move {
            shop.post("/users").json(body).send().await
        })
    });
    let mut made = 0;
    for asked in asking.collect::<Vec<_>>() {
        let reply = asked.await.unwrap();
        match reply.status {
            201 => made += 1,
            _ => drop(reply.refused(409, "USERNAME_TAKEN")),
        }
    }
    assert_eq!(made, 1);
}

/// Who chooses it waits at the unique index for whoever leaves it, and is refused by what that one has written.
async fn an_address_that_is_left_at_this_moment_is_nobody_elses(one: &Shop, other: &Shop) {
    let (owner, taker) = (one.register("owner").await, other.register("taker").await);
    one.exec(
        "insert into verified_emails (user_id, email_key, verified_at) \
         select id, email_key, created_at from users where username = 'owner'",
    )
    .await;
    for round in 0..10 {
        let elsewhere = format!("elsewhere{round}@example.com");
        let (left, taken) = tokio::join!(
            moves(one, &owner, &elsewhere),
            moves(other, &taker, "owner@example.com"),
        );
        left.expect(200);
        taken.refused(409, "EMAIL_TAKEN");
        let back = moves(other, &owner, "owner@example.com").await;
        back.expect(200);
    }
}

async fn an_administrator_remains(one: &Shop, other: &Shop) {
    let admin = one.admin().await;
    let second = one.register("second").await;
    one.give_roles(&admin, &second, json!(["admin"]))
        .await
        .expect(200);
    let second = other.login("second").await;
    let (first, last) = tokio::join!(
        one.give_roles(&admin, &second, json!(["customer"])),
        other.give_roles(&second, &admin, json!(["customer"])),
    );
    let demoted = [&first, &last]
        .iter()
        .filter(|reply| reply.status == 200)
        .count();
    assert_eq!(demoted, 1, "{} {}", first.body, last.body);
    let (remaining, demoted) = match first.status {
        200 => (one.admin().await, second),
        _ => (other.login("second").await, admin),
    };
    one.give_roles(&remaining, &demoted, json!(["admin"]))
        .await
        .expect(200);
}

async fn no_token_comes_out_of_a_logged_out_session(one: &Shop, other: &Shop) {
    for round in 0..10 {
        let user = one.register(&format!("leaver{round}")).await;
        let (refreshed, left) = tokio::join!(
            refresh(one, &user.refresh_token),
            other.post("/auth/logout").by(&user).send(),
        );
        assert_eq!(left.status, 204, "{}", left.body);
        if refreshed.status == 200 {
            let child = refreshed.expect(200)["refresh_token"].as_str().unwrap();
            refresh(one, child).await.refused(401, "UNAUTHENTICATED");
        }
    }
}

async fn every_sort_is_paged_without_a_hole(shop: &Shop) {
    let admin: User = shop.admin().await;
    for query in [
        "sort=created_at",
        "sort=username&order=desc",
        "sort=email",
        "q=E&status=active",
    ] {
        let whole = shop
            .get(&format!("/users?limit=100&{query}"))
            .by(&admin)
            .send()
            .await;
        let whole = ids(&whole);
        let mut path = format!("/users?limit=3&{query}");
        let mut seen = Vec::new();
        loop {
            let reply = shop.get(&path).by(&admin).send().await;
            seen.extend(ids(&reply));
            match reply.body["meta"]["next_cursor"].as_str() {
                Some(cursor) => path = format!("/users?cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, whole, "{query}");
    }
}

fn ids(reply: &Reply) -> Vec<String> {
    let users = reply.expect(200).as_array().unwrap();
    users.iter().map(|user| user["id"].to_string()).collect()
}

async fn moves(shop: &Shop, user: &User, email: &str) -> Reply {
    let body = json!({"email": email});
    shop.patch(&user.path()).by(user).json(body).send().await
}

async fn refresh(shop: &Shop, token: &str) -> Reply {
    let body = json!({"refresh_token": token});
    shop.post("/auth/refresh").json(body).send().await
}
