//! Signing keys from the command line, beside a shop that runs and without one.

use super::AT_ONCE;
use crate::support::{STOPPED_WITHIN, Shop, on_both_stores};

on_both_stores!(keys_are_listed_rotated_and_forgotten_while_the_shop_runs);

async fn keys_are_listed_rotated_and_forgotten_while_the_shop_runs(shop: Shop) {
    let ada = shop.customer("ada").await;
    let listed = shop.operate(&["keys", "list"]).await.expect(0);
    let listed = listed.says(&["EdDSA", "signing", "sealed by"]);
    assert_eq!(listed.out.lines().count(), 1);
    let rotated = shop.operate(&["keys", "rotate"]).await.expect(0);
    rotated.says(&["published", "signing"]);
    let now = shop.operate(&["keys", "rotate", "--now"]).await.expect(0);
    now.says(&["verify-only", "signing"]);
    ada.get("/users/me").send().await.expect(200);
    let leaked = shop
        .operate(&["keys", "rotate", "--leaked"])
        .await
        .expect(0);
    assert_eq!(leaked.out.lines().count(), 1, "{leaked:?}");
    // Used at once by the service that was asked.
    let refused = ada.get("/users/me").send().await;
    refused.expect_error(401, "UNAUTHENTICATED");
    shop.operate(&["keys", "reseal"])
        .await
        .expect(0)
        .says(&["resealed: 0 keys"]);
    shop.customer("bob").await;
}

#[tokio::test]
async fn on_postgres_keys_are_rotated_without_a_shop() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let listed = shop.operate(&["keys", "list"]).await.expect(0);
    assert_eq!(listed.out.lines().count(), 1);
    let rotated = shop.operate(&["keys", "rotate"]).await.expect(0);
    rotated.says(&["published", "signing"]);
    shop.restart().await;
    shop.customer("ada").await;
}

#[tokio::test]
async fn what_signs_is_a_setting_and_a_change_of_it_is_a_rotation() {
    let mut shop = Shop::start_with(&[AT_ONCE]).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let es256 = ("SHOP__IDENTITY__SIGNING_ALGORITHM", "ES256");
    shop.restart_with(&[AT_ONCE, es256]).await.unwrap();
    let listed = shop.operate(&["keys", "list"]).await.expect(0);
    listed.says(&["ES256", "published", "EdDSA", "signing"]);
    let hmac = ("SHOP__IDENTITY__SIGNING_ALGORITHM", "HS256");
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    assert!(shop.restart_with(&[AT_ONCE, hmac]).await.is_err());
}
