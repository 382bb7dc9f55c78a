//! Another address: what becomes of it if whoever chose it has but a token.

mod several;

use serde_json::json;

use crate::support::{Postbox, Reply, Shop, User, registration, token_of};

const NEW: &str = "an even better one";

async fn moves(shop: &Shop, user: &User, by: &User, email: &str) -> Reply {
    let body = json!({"email": email});
    shop.patch(&user.path()).by(by).json(body).send().await
}

/// The user's own choice, which is taken.
async fn moved(shop: &Shop, user: &User, email: &str) {
    moves(shop, user, user, email).await.expect(200);
}

/// ada, who has proved her address, of which the first mail asked her.
async fn proved(shop: &Shop, post: &Postbox) -> User {
    let ada = shop.register("ada").await;
    proves(shop, &token_of(&post.latest(1).await)).await;
    ada
}

async fn proves(shop: &Shop, token: &str) {
    let body = json!({"token": token});
    let reply = shop.post("/auth/verification").json(body).send().await;
    assert_eq!(reply.status, 204, "{}", reply.body);
}

async fn forgets(shop: &Shop, email: &str) {
    let body = json!({"email": email});
    let reply = shop.post("/auth/password/reset").json(body).send().await;
    reply.expect(202);
}

async fn chooses(shop: &Shop, token: &str) {
    let body = json!({"token": token, "new_password": NEW});
    let path = "/auth/password/reset/confirmation";
    let reply = shop.post(path).json(body).send().await;
    assert_eq!(reply.status, 204, "{}", reply.body);
}

#[tokio::test]
async fn who_has_but_a_token_sets_no_password_by_another_address_and_its_owner_takes_it_back() {
    let (shop, post) = Shop::with_post().await;
    let ada = proved(&shop, &post).await;
    moved(&shop, &ada, "eve@example.com").await;
    let told = post.latest_to("ada@example.com", 3).await;
    assert_eq!(told.subject, "Your e-mail address was changed");
    // Who has stolen the token has that mailbox, and proves it.
    let proof = token_of(&post.latest_to("eve@example.com", 3).await);
    proves(&shop, &proof).await;
    forgets(&shop, "eve@example.com").await;
    assert_eq!(post.settled().await, 3, "no letter goes there");

    forgets(&shop, "ada@example.com").await;
    let letter = post.latest(4).await;
    assert_eq!(letter.to, "ada@example.com".parse().unwrap());
    chooses(&shop, &token_of(&letter)).await;
    let me = shop.get("/users/me").by(&ada).send().await;
    me.refused(401, "UNAUTHENTICATED");
    let ada = shop.login_with("ada@example.com", NEW).await;
    let me = shop.get("/users/me").by(&ada).send().await;
    assert_eq!(me.expect(200)["email"], "ada@example.com");
    let view = shop.get("/auth/verification").by(&ada).send().await;
    assert_eq!(view.expect(200)["verified"], true);
    let done = post.latest(5).await;
    assert_eq!(done.to, "ada@example.com".parse().unwrap());
    assert_eq!(shop.rows("select id from former_emails").await, 0);
}

#[tokio::test]
async fn an_address_that_was_left_is_nobody_elses_for_as_long_as_it_is_held() {
    let (shop, post) = Shop::with_post().await;
    let ada = proved(&shop, &post).await;
    let bob = shop.register("bob").await;
    moved(&shop, &ada, "eve@example.com").await;
    let mut taking = registration("carl");
    taking["email"] = json!("Ada@Example.com");
    let hashed = shop.passwords.stats().hashed;
    let taken = shop.post("/users").json(taking.clone()).send().await;
    taken.refused(409, "EMAIL_TAKEN");
    let hashed_since = shop.passwords.stats().hashed - hashed;
    assert_eq!(hashed_since, 0, "it is refused as one that is taken");
    let taken = moves(&shop, &bob, &bob, "ada@example.com").await;
    taken.refused(409, "EMAIL_TAKEN");
    // Its user has it back at will, and leaving it once more begins nothing anew.
    for email in ["ada@example.com", "eve@example.com", "mallory@example.com"] {
        moved(&shop, &ada, email).await;
    }
    let before = post.settled().await;
    forgets(&shop, "mallory@example.com").await;
    assert_eq!(post.settled().await, before);

    for (table, user) in [("former_emails", "id"), ("later_emails", "user_id")] {
        shop.exec(&format!(
            "update {table} set held_until = \
                 (select created_at from users where users.id = {table}.{user})"
        ))
        .await;
    }
    shop.post("/users").json(taking).send().await.expect(201);
    let before = post.settled().await;
    forgets(&shop, "mallory@example.com").await;
    let letter = post.latest(before + 1).await;
    assert_eq!(letter.to, "mallory@example.com".parse().unwrap());
}

#[tokio::test]
async fn who_gives_an_address_back_for_a_while_and_leaves_it_again_does_not_wear_the_hold_out() {
    let (shop, post) = Shop::with_post().await;
    let ada = proved(&shop, &post).await;
    for email in ["eve@example.com", "ada@example.com"] {
        moved(&shop, &ada, email).await;
    }
    // Days later, an hour before the end.
    let an_hour = "(select max(expires_at) from one_time_tokens)";
    shop.exec(&format!("update former_emails set held_until = {an_hour}"))
        .await;
    moved(&shop, &ada, "eve@example.com").await;
    post.settled().await;
    let longer = format!("select id from former_emails where is_proved and held_until > {an_hour}");
    assert_eq!(shop.rows(&longer).await, 1);
}

#[tokio::test]
async fn an_address_that_was_proved_since_it_was_left_first_is_held_once_it_is_left_again() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    let proof = token_of(&post.latest(1).await);
    for email in ["ada@elsewhere.example", "ada@example.com"] {
        moved(&shop, &ada, email).await;
    }
    proves(&shop, &proof).await;
    moved(&shop, &ada, "eve@example.com").await;
    let mut taking = registration("carl");
    taking["email"] = json!("ada@example.com");
    let taken = shop.post("/users").json(taking).send().await;
    taken.refused(409, "EMAIL_TAKEN");
}

#[tokio::test]
async fn an_address_that_was_never_proved_is_told_and_gives_nothing_back() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    moved(&shop, &ada, "ada@elsewhere.example").await;
    let told = post.latest_to("ada@example.com", 3).await;
    assert!(told.text.contains("your username"), "{}", told.text);
    for email in ["ada@example.com", "ada@elsewhere.example"] {
        forgets(&shop, email).await;
    }
    assert_eq!(post.settled().await, 3);
    // It may have been mistyped: whose it is may have it.
    let mut owner = registration("owner");
    owner["email"] = json!("ada@example.com");
    shop.post("/users").json(owner).send().await.expect(201);
}

/// Such a letter is written by a process that read before the change, or of a release that holds nothing.
#[tokio::test]
async fn a_letter_to_the_chosen_address_that_went_out_all_the_same_sets_no_password() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    post.mails(1).await;
    forgets(&shop, "ada@example.com").await;
    let token = token_of(&post.latest(2).await);
    moved(&shop, &ada, "eve@example.com").await;
    shop.exec("update one_time_tokens set email_key = 'eve@example.com' where purpose = 'reset'")
        .await;
    let body = json!({"token": token, "new_password": NEW});
    let path = "/auth/password/reset/confirmation";
    let reply = shop.post(path).json(body).send().await;
    reply.refused(422, "VALIDATION_FAILED");
    shop.login("ada").await;
}

/// As a release may have left it that holds nothing.
#[tokio::test]
async fn letters_to_an_address_are_for_the_user_who_has_it_before_the_one_for_whom_it_is_held() {
    let (shop, post) = Shop::with_post().await;
    let ada = proved(&shop, &post).await;
    moved(&shop, &ada, "eve@example.com").await;
    shop.register("bob").await;
    post.mails(4).await;
    shop.exec(
        "update users set email = 'ada@example.com', email_key = 'ada@example.com' \
         where username = 'bob'",
    )
    .await;
    forgets(&shop, "ada@example.com").await;
    chooses(&shop, &token_of(&post.latest(5).await)).await;
    shop.login_with("bob", NEW).await;
    shop.login("ada").await;
}

#[tokio::test]
async fn the_former_address_is_told_whatever_becomes_of_letters_to_the_chosen_one() {
    let (shop, post) = Shop::with_post().await;
    let ada = shop.register("ada").await;
    post.mails(1).await;
    post.reaches_not("eve@nowhere.example");
    moved(&shop, &ada, "eve@nowhere.example").await;
    let told = post.latest(2).await;
    assert_eq!(told.to, "ada@example.com".parse().unwrap());
    assert_eq!(told.subject, "Your e-mail address was changed");
}

#[tokio::test]
async fn of_changes_without_end_a_former_address_is_told_five_times() {
    let (shop, post) = Shop::with_post().await;
    // Anybody can register with a stranger's address.
    let eve = shop.register("stranger").await;
    for email in [
        "eve@example.com",
        "mallory@example.com",
        "Mallory@example.com",
        "eve@example.com",
        "mallory@example.com",
        "eve@example.com",
        "mallory@example.com",
    ] {
        moved(&shop, &eve, email).await;
    }
    let mails = post.mails(post.settled().await).await;
    let told = |address: &str| {
        let to = address.parse().unwrap();
        let told = mails
            .iter()
            .filter(|mail| mail.to == to && mail.subject == "Your e-mail address was changed");
        told.count()
    };
    assert_eq!(told("stranger@example.com"), 5);
    for later in ["eve@example.com", "mallory@example.com"] {
        assert!(told(later) <= 5, "{later}");
    }
}

#[tokio::test]
async fn an_address_that_a_user_is_given_by_who_may_counts_at_once() {
    let (shop, post) = Shop::with_post().await;
    let (admin, ada) = (shop.admin().await, shop.register("ada").await);
    proves(&shop, &token_of(&post.latest(1).await)).await;
    let moved = moves(&shop, &ada, &admin, "ada@elsewhere.example").await;
    moved.expect(200);
    assert_eq!(post.settled().await, 2, "the new address is to be proved");
    forgets(&shop, "ada@elsewhere.example").await;
    chooses(&shop, &token_of(&post.latest(3).await)).await;
    shop.login_with("ada@elsewhere.example", NEW).await;
}
