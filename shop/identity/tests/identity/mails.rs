//! Proofs of addresses, and how mails are handed over.

use serde_json::json;
use stanchion::mail::MailError;

use crate::support::{PASSWORD, Reply, Shop, User, registration, token_of};

async fn verify(shop: &Shop, token: &str) -> Reply {
    let body = json!({"token": token});
    shop.post("/auth/verification").json(body).send().await
}

async fn is_verified(shop: &Shop, user: &User) -> bool {
    let reply = shop.get("/auth/verification").by(user).send().await;
    let view = reply.expect(200);
    assert_eq!(view["verified"] == true, view.get("verified_at").is_some());
    view["verified"] == true
}

fn out() -> MailError {
    MailError::Unavailable("out".into())
}

#[tokio::test]
async fn a_mail_proves_the_address_that_it_went_to_once() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    assert!(!is_verified(&shop, &ada).await);
    let token = token_of(&post.latest(1).await);
    assert_eq!(verify(&shop, &token).await.status, 204);
    assert!(is_verified(&shop, &ada).await);
    let again = verify(&shop, &token).await;
    let error = again.refused(422, "VALIDATION_FAILED");
    assert_eq!(
        error["details"]["fields"]["token"],
        json!(["is not valid, or not any more"])
    );
    let recorded = shop.recorded("email_verified").await;
    assert_eq!(recorded, [json!({"user_id": ada.id})]);
}

#[tokio::test]
async fn what_is_no_token_proves_nothing() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    let token = token_of(&post.latest(1).await);
    let altered = token.replacen("ot_", "rt_", 1);
    for text in [
        "",
        "ot_",
        &altered,
        &token[..token.len() - 1],
        &format!("{token}A"),
    ] {
        verify(&shop, text).await.refused(422, "VALIDATION_FAILED");
    }
    assert!(!is_verified(&shop, &ada).await);
}

#[tokio::test]
async fn another_address_has_to_be_proved_anew() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    let first = token_of(&post.latest(1).await);
    let body = json!({"email": "ada@elsewhere.example"});
    shop.patch(&ada.path())
        .by(&ada)
        .header("content-type", "application/merge-patch+json")
        .json(body)
        .send()
        .await
        .expect(200);
    let second = token_of(&post.latest_to("ada@elsewhere.example", 3).await);
    verify(&shop, &first)
        .await
        .refused(422, "VALIDATION_FAILED");
    assert!(!is_verified(&shop, &ada).await);
    assert_eq!(verify(&shop, &second).await.status, 204);
    assert!(is_verified(&shop, &ada).await);
}

#[tokio::test]
async fn an_hour_is_enough_for_a_proof() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    let token = token_of(&post.latest(1).await);
    let row = "select expires_at > created_at from one_time_tokens";
    assert_eq!(shop.rows(row).await, 1);
    shop.exec("update one_time_tokens set expires_at = created_at")
        .await;
    verify(&shop, &token)
        .await
        .refused(422, "VALIDATION_FAILED");
    assert!(!is_verified(&shop, &ada).await);
}

#[tokio::test]
async fn another_mail_comes_when_asked_for_and_five_in_an_hour_are_enough() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    for count in 2..=5 {
        post.mails(count - 1).await;
        let ask = shop.post("/auth/verification/mail").by(&ada).send().await;
        ask.expect(202);
    }
    let mails = post.mails(5).await;
    let ask = shop.post("/auth/verification/mail").by(&ada).send().await;
    ask.refused(429, "RATE_LIMITED");
    assert_eq!(ask.header("retry-after"), "3600");
    // Each of them works: whoever asks twice may open either.
    assert_eq!(verify(&shop, &token_of(&mails[0])).await.status, 204);
    let ask = shop.post("/auth/verification/mail").by(&ada).send().await;
    ask.expect(202);
    assert_eq!(post.settled().await, 5, "nothing is left to be proved");
}

/// The mail itself is one of the five: handed over once more it is not one too many.
#[tokio::test]
async fn the_last_mail_of_an_hour_waits_for_a_server_that_is_out_too() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    for count in 2..=5 {
        post.mails(count - 1).await;
        if count == 5 {
            post.fails([out()]);
        }
        let ask = shop.post("/auth/verification/mail").by(&ada).send().await;
        ask.expect(202);
    }
    let mail = post.latest(5).await;
    assert_eq!(post.attempts(), 6);
    assert_eq!(verify(&shop, &token_of(&mail)).await.status, 204);
}

#[tokio::test]
async fn a_mail_waits_for_a_server_that_is_out() {
    let (shop, post) = Shop::with_post().await;
    post.fails([out(), out()]);
    let ada = shop.register("ada").await;
    let mail = post.latest(1).await;
    assert_eq!(post.attempts(), 3);
    assert_eq!(verify(&shop, &token_of(&mail)).await.status, 204);
    assert!(is_verified(&shop, &ada).await);
}

#[tokio::test]
async fn a_mail_that_nobody_takes_is_given_up_and_holds_nobody_up() {
    let (shop, post) = Shop::with_post().await;
    post.fails([MailError::Refused("the server said 550".into())]);
    shop.register("nobody").await;
    shop.register("ada").await;
    assert_eq!(post.settled().await, 1);
    assert_eq!(post.attempts(), 2);
}

#[tokio::test]
async fn a_mail_that_was_wanted_before_a_crash_is_handed_over_after_it() {
    let shop = Shop::open().await;
    let dead = shop.posted_but_dead().await;
    dead.post("/users")
        .json(registration("ada"))
        .send()
        .await
        .expect(201);
    let reset = json!({"email": "ada@example.com"});
    dead.post("/auth/password/reset")
        .json(reset)
        .send()
        .await
        .expect(202);
    let (_shop, post) = shop.posted().await;
    let mut subjects: Vec<_> = post
        .mails(2)
        .await
        .into_iter()
        .map(|mail| mail.subject)
        .collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        ["Choose a new password", "Confirm your e-mail address"]
    );
}

#[tokio::test]
async fn a_mail_is_handed_over_once_however_often_the_process_starts() {
    let (shop, post) = Shop::with_post().await;
    shop.register("ada").await;
    assert_eq!(post.settled().await, 1);
    let (_again, post) = shop.posted().await;
    assert_eq!(post.settled().await, 0);
}

#[tokio::test]
async fn nothing_that_a_user_typed_is_in_a_mail() {
    let (shop, post) = Shop::with_post().await;
    let mut body = registration("ada");
    body["first_name"] = json!("Win a prize at evil.example");
    shop.post("/users").json(body).send().await.expect(201);
    let mail = post.latest(1).await;
    assert!(
        !mail.text.contains("evil") && !mail.text.contains("ada"),
        "{}",
        mail.text
    );
    assert_eq!(mail.to, "ada@example.com".parse().unwrap());
}

#[tokio::test]
async fn without_a_mailer_users_come_in_and_whoever_wants_a_mail_is_told() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let ask = shop.post("/auth/verification/mail").by(&ada).send().await;
    ask.refused(503, "MAIL_OFF");
    let body = json!({"email": "ada@example.com"});
    let ask = shop.post("/auth/password/reset").json(body).send().await;
    ask.refused(503, "MAIL_OFF");
    assert!(shop.recorded("verification_asked").await.is_empty());
    let login = json!({"login": "ada", "password": PASSWORD});
    shop.post("/auth/login")
        .json(login)
        .send()
        .await
        .expect(200);
}
