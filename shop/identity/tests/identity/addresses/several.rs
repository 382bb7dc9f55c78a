//! Several addresses that were left within a week: each is told and held, and the first of them decides.

use stanchion_testing::servers;

use super::*;
use crate::support::Place;

const CHANGED: &str = "Your e-mail address was changed";

/// ada, who has proved her address, and another one since: six mails, the last of them of what a stolen token has chosen then.
async fn moved_and_then_robbed(shop: &Shop, post: &Postbox) -> User {
    let ada = proved(shop, post).await;
    moved(shop, &ada, "ada@new.example").await;
    let proof = post.latest_to("ada@new.example", 3).await;
    proves(shop, &token_of(&proof)).await;
    moved(shop, &ada, "eve@example.com").await;
    post.mails(6).await;
    ada
}

/// ada, who has proved her address and has it again, and a stolen token has chosen another one meanwhile and proved it: five mails,
/// the last of them asks her to prove hers anew.
async fn robbed_and_back(shop: &Shop, post: &Postbox) {
    let ada = proved(shop, post).await;
    moved(shop, &ada, "eve@example.com").await;
    let proof = post.latest_to("eve@example.com", 3).await;
    proves(shop, &token_of(&proof)).await;
    moved(shop, &ada, "ada@example.com").await;
}

/// As if the one that was left first had been left a week before.
async fn a_week_after_the_first(shop: &Shop) {
    shop.exec(
        "update former_emails set held_until = \
             (select created_at from users where users.id = former_emails.id)",
    )
    .await;
}

#[tokio::test]
async fn an_address_that_is_left_while_another_is_held_is_told_and_held_after_it() {
    let (shop, post) = Shop::with_post().await;
    held_after_the_first(&shop, &post).await;
}

#[tokio::test]
async fn on_postgres_it_is_told_and_held_as_well() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let (shop, post) = Shop::on(Place::on(&url)).await.posted().await;
    held_after_the_first(&shop, &post).await;
}

async fn held_after_the_first(shop: &Shop, post: &Postbox) {
    moved_and_then_robbed(shop, post).await;
    let told = post.latest_to("ada@new.example", 6).await;
    assert_eq!(told.subject, CHANGED);
    let mut taking = registration("carl");
    taking["email"] = json!("ada@new.example");
    let taken = shop.post("/users").json(taking).send().await;
    taken.refused(409, "EMAIL_TAKEN");
    for email in ["ada@new.example", "eve@example.com"] {
        forgets(shop, email).await;
    }
    assert_eq!(post.settled().await, 6, "the first of them alone has one");

    a_week_after_the_first(shop).await;
    for email in ["ada@example.com", "eve@example.com"] {
        forgets(shop, email).await;
    }
    assert_eq!(post.settled().await, 6, "now the next one alone");
    forgets(shop, "ada@new.example").await;
    chooses(shop, &token_of(&post.latest(7).await)).await;
    let ada = shop.login_with("ada@new.example", NEW).await;
    let me = shop.get("/users/me").by(&ada).send().await;
    assert_eq!(me.expect(200)["email"], "ada@new.example");
    assert_eq!(shop.rows("select user_id from later_emails").await, 0);
}

#[tokio::test]
async fn a_new_password_by_the_first_ends_what_was_left_after_it() {
    let (shop, post) = Shop::with_post().await;
    let ada = moved_and_then_robbed(&shop, &post).await;
    forgets(&shop, "ada@example.com").await;
    let letter = post.latest(7).await;
    assert_eq!(letter.to, "ada@example.com".parse().unwrap());
    chooses(&shop, &token_of(&letter)).await;
    let me = shop.get("/users/me").by(&ada).send().await;
    me.refused(401, "UNAUTHENTICATED");
    let ada = shop.login_with("ada@example.com", NEW).await;
    let me = shop.get("/users/me").by(&ada).send().await;
    assert_eq!(me.expect(200)["email"], "ada@example.com");
    let left = "select id from former_emails union all select user_id from later_emails";
    assert_eq!(shop.rows(left).await, 0);
}

#[tokio::test]
async fn what_was_chosen_and_proved_meanwhile_is_over_once_the_address_is_back_and_proved_anew() {
    let (shop, post) = Shop::with_post().await;
    robbed_and_back(&shop, &post).await;
    let back = post.latest_to("ada@example.com", 5).await;
    assert!(back.text.contains("this address again"), "{}", back.text);
    assert_eq!(shop.rows("select user_id from later_emails").await, 1);
    proves(&shop, &token_of(&back)).await;
    assert_eq!(shop.rows("select user_id from later_emails").await, 0);

    a_week_after_the_first(&shop).await;
    forgets(&shop, "eve@example.com").await;
    assert_eq!(post.settled().await, 5, "it is nobody's");
    forgets(&shop, "ada@example.com").await;
    let letter = post.latest(6).await;
    assert_eq!(letter.to, "ada@example.com".parse().unwrap());
    chooses(&shop, &token_of(&letter)).await;
    shop.login_with("ada", NEW).await;
}

#[tokio::test]
async fn what_was_chosen_and_proved_meanwhile_gets_no_turn_while_the_address_is_back() {
    let (shop, post) = Shop::with_post().await;
    robbed_and_back(&shop, &post).await;
    post.mails(5).await;
    // The mail that asks to confirm it lies unread, and a week after all that was left before eve's has gone by.
    shop.exec(
        "update former_emails set held_until = \
             (select created_at from users where users.id = former_emails.id) \
         where held_until < (select max(held_until) from later_emails)",
    )
    .await;
    forgets(&shop, "eve@example.com").await;
    assert_eq!(post.settled().await, 5, "it decides nothing");
    forgets(&shop, "ada@example.com").await;
    let letter = post.latest(6).await;
    assert_eq!(letter.to, "ada@example.com".parse().unwrap());
}

#[tokio::test]
async fn one_that_is_out_of_reach_keeps_no_other_from_being_told() {
    let (shop, post) = Shop::with_post().await;
    let ada = proved(&shop, &post).await;
    moved(&shop, &ada, "ada@new.example").await;
    post.mails(3).await;
    post.reaches_not("ada@new.example");
    moved(&shop, &ada, "eve@example.com").await;
    let told = post.latest_to("ada@example.com", 5).await;
    assert_eq!(told.subject, CHANGED);
    post.reaches_not("nobody@nowhere.example");
    let told = post.latest(6).await;
    assert_eq!(told.to, "ada@new.example".parse().unwrap());
    assert_eq!(told.subject, CHANGED);
    assert_eq!(post.settled().await, 6, "and the other one once");
}

#[tokio::test]
async fn no_more_than_five_are_held_and_the_way_back_to_the_first_stays_open() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for nth in 1..=5 {
        let email = format!("ada{nth}@example.com");
        moved(&shop, &ada, &email).await;
    }
    let beyond = moves(&shop, &ada, &ada, "ada6@example.com").await;
    beyond.refused(409, "TOO_MANY_ADDRESSES");
    let other = moves(&shop, &ada, &ada, "ada1@example.com").await;
    other.refused(409, "TOO_MANY_ADDRESSES");
    moved(&shop, &ada, "ada@example.com").await;
    let left = "select id from former_emails union all select user_id from later_emails";
    assert_eq!(shop.rows(left).await, 5);
}
