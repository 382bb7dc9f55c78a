//! A new password for whoever forgot the old one.

use std::time::Duration;

use serde_json::{Value, json};
use shop_identity::AttemptSettings;
use stanchion::runtime::task;

use crate::support::{PASSWORD, Reply, Shop, token_of};

const NEW: &str = "an even better one";

async fn ask(shop: &Shop, email: &str) -> Reply {
    let body = json!({"email": email});
    shop.post("/auth/password/reset").json(body).send().await
}

async fn confirm(shop: &Shop, token: &str, new: &str) -> Reply {
    let body = json!({"token": token, "new_password": new});
    let path = "/auth/password/reset/confirmation";
    shop.post(path).json(body).send().await
}

/// The answer without what differs from request to request, with it its length: a timestamp ends in no zeros.
fn plain(reply: &Reply) -> (u16, Value) {
    let mut body = reply.body.clone();
    body["meta"] = Value::Null;
    (reply.status, body)
}

#[tokio::test]
async fn a_mail_is_good_for_a_new_password_and_every_session_ends() {
    let (shop, post) = Shop::with_post().await;
    let (ada, elsewhere) = (shop.register("ada").await, shop.login("ada").await);
    let replica = shop.replica().await;
    ask(&shop, " ADA@Example.com ").await.expect(202);
    let token = token_of(&post.latest(2).await);
    assert_eq!(confirm(&shop, &token, NEW).await.status, 204);

    for session in [&ada, &elsewhere] {
        for process in [&shop, &replica] {
            let me = process.get("/users/me").by(session).send().await;
            me.refused(401, "UNAUTHENTICATED");
        }
        let refresh = json!({"refresh_token": session.refresh_token});
        let refreshed = shop.post("/auth/refresh").json(refresh).send().await;
        refreshed.refused(401, "UNAUTHENTICATED");
    }
    shop.try_login("ada").await.refused(401, "UNAUTHENTICATED");
    let ada = shop.login_with("ada", NEW).await;
    let view = shop.get("/auth/verification").by(&ada).send().await;
    assert_eq!(
        view.expect(200)["verified"],
        true,
        "who reads the mail has the address"
    );
    let recorded = shop.recorded("password_reset").await;
    assert_eq!(recorded, [json!({"user_id": ada.id})]);
    let ended = shop.recorded("session_ended").await;
    assert_eq!(ended.len(), 2);
    assert!(
        ended.iter().all(|end| end["reason"] == "password_reset"),
        "{ended:?}"
    );
    assert_eq!(post.latest(3).await.subject, "Your password was changed");
}

#[tokio::test]
async fn whoever_sets_a_forgotten_password_is_let_in_whatever_others_have_used_up() {
    let shop = Shop::limited_by(&AttemptSettings {
        name_burst: 1,
        name_every: Duration::from_secs(24 * 3_600),
        ..AttemptSettings::default()
    })
    .await;
    let (shop, post) = shop.posted().await;
    shop.register("ada").await;
    ask(&shop, "ada@example.com").await.expect(202);
    let done = confirm(&shop, &token_of(&post.latest(2).await), NEW).await;
    assert_eq!(done.status, 204, "{}", done.body);
    for status in [401, 429] {
        assert_eq!(shop.try_login("ada").await.status, status);
    }
    let body = json!({"login": "ada", "password": NEW});
    let at_home = shop.post("/auth/login");
    let at_home = at_home.header("device-token", done.header("device-token"));
    at_home.json(body).send().await.expect(200);
}

#[tokio::test]
async fn whoever_asks_learns_nothing_of_who_is_there() {
    let (shop, post) = Shop::with_post().await;
    let admin = shop.admin().await;
    let (ada, sue) = (shop.register("ada").await, shop.register("sue").await);
    shop.set_status(&admin, &sue, "suspended").await.expect(200);
    let deleted = shop.register("del").await;
    shop.delete(&deleted.path()).by(&deleted).send().await;
    let before = post.settled().await;
    let hashed = shop.passwords.stats().hashed;
    let known = plain(&ask(&shop, "ada@example.com").await);
    assert_eq!(known.0, 202);
    for other in [
        "nobody@example.com",
        "sue@example.com",
        "del@example.com",
        "ada",
        "' or '1'='1",
    ] {
        assert_eq!(plain(&ask(&shop, other).await), known, "{other:?}");
    }
    ask(&shop, "ada@example.com\r\nBcc: eve@example.com")
        .await
        .refused(422, "VALIDATION_FAILED");
    assert_eq!(
        shop.passwords.stats().hashed,
        hashed,
        "and nothing was hashed"
    );
    assert_eq!(
        post.settled().await,
        before + 1,
        "ada alone was sent a mail"
    );
    assert_eq!(
        post.latest(before + 1).await.to,
        "ada@example.com".parse().unwrap()
    );
    assert_eq!(shop.rows("select id from reset_requests").await, 0);
    shop.get("/users/me").by(&ada).send().await.expect(200);
}

#[tokio::test]
async fn a_token_is_good_for_one_password_however_many_come_at_once() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    ask(&shop, "ada@example.com").await.expect(202);
    let token = token_of(&post.latest(2).await);
    let tries = (0..8).map(|nth| {
        let (shop, token) = (shop.clone(), token.clone());
        task::spawn("try", async move {
            let new = format!("the new one of {nth}");
            (confirm(&shop, &token, &new).await.status, new)
        })
    });
    let mut won = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            (204, new) => won.push(new),
            (status, _) => assert_eq!(status, 422),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    shop.login_with("ada", &won[0]).await;
    confirm(&shop, &token, NEW)
        .await
        .refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_password_that_is_changed_voids_what_was_mailed_before() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    for count in [2, 3] {
        ask(&shop, "ada@example.com").await.expect(202);
        post.mails(count).await;
    }
    let mails = post.mails(3).await;
    let (first, second) = (token_of(&mails[1]), token_of(&mails[2]));
    assert_eq!(confirm(&shop, &second, NEW).await.status, 204);
    confirm(&shop, &first, PASSWORD)
        .await
        .refused(422, "VALIDATION_FAILED");
    shop.login_with("ada", NEW).await;
}

#[tokio::test]
async fn a_password_that_its_user_changes_voids_what_was_mailed_before() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    ask(&shop, "ada@example.com").await.expect(202);
    let token = token_of(&post.latest(2).await);
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let changed = shop.post("/auth/password").by(&ada).json(body).send().await;
    assert_eq!(changed.status, 204, "{}", changed.body);
    confirm(&shop, &token, "the one of somebody else")
        .await
        .refused(422, "VALIDATION_FAILED");
    shop.login_with("ada", NEW).await;
}

#[tokio::test]
async fn wishes_and_letters_are_limited_for_everybody_alike() {
    let (shop, _post) = Shop::limited().await.posted().await;
    shop.register("ada").await;
    for email in ["ada@example.com", "nobody@example.com"] {
        for _ in 0..3 {
            ask(&shop, email).await.expect(202);
        }
        let beyond = ask(&shop, email).await;
        beyond.refused(429, "RATE_LIMITED");
        assert_ne!(beyond.header("retry-after"), "");
    }
}

#[tokio::test]
async fn what_is_no_token_for_it_is_refused_before_anything_is_hashed() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    let proof = token_of(&post.latest(1).await);
    ask(&shop, "ada@example.com").await.expect(202);
    let expired = token_of(&post.latest(2).await);
    shop.exec("update one_time_tokens set expires_at = created_at where purpose = 'reset'")
        .await;
    let hashed = shop.passwords.stats().hashed;
    for token in ["", "ot_", &format!("{expired}A"), &expired, &proof] {
        let reply = confirm(&shop, token, NEW).await;
        reply.refused(422, "VALIDATION_FAILED");
    }
    confirm(&shop, &expired, "short")
        .await
        .refused(422, "VALIDATION_FAILED");
    assert_eq!(shop.passwords.stats().hashed, hashed);
    shop.try_login("ada").await.expect(200);
}

#[tokio::test]
async fn five_mails_in_an_hour_are_enough_whoever_asks_for_them() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    post.mails(1).await;
    for _ in 0..12 {
        ask(&shop, "ada@example.com").await.expect(202);
        // One after the other: of those under way together a few more may come.
        post.settled().await;
        if post.settled().await > 6 {
            break;
        }
    }
    assert_eq!(post.settled().await, 6);
}

#[tokio::test]
async fn no_more_wishes_wait_than_the_bound_and_then_everybody_is_told_the_same() {
    let shop = Shop::open().await.posted_but_dead().await;
    shop.register("ada").await;
    shop.exec(
        "insert into reset_requests (id, email_key, asked_at) \
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) \
         select i, 'x', '2026-01-01T00:00:00Z' from n",
    )
    .await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let reply = ask(&shop, email).await;
        reply.refused(503, "OVERLOADED");
    }
    assert!(shop.recorded("reset_asked").await.is_empty());
}

#[tokio::test]
async fn a_token_is_nowhere_in_the_store() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    ask(&shop, "ada@example.com").await.expect(202);
    let token = token_of(&post.latest(2).await);
    let here = format!("select id from one_time_tokens where hash = '{token}'");
    assert_eq!(shop.rows(&here).await, 0);
    let entries = format!("{:?}", shop.recorded("reset_asked").await);
    assert!(
        !entries.contains(&token) && !entries.contains("ada"),
        "{entries}"
    );
}
