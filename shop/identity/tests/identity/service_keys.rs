//! API keys of services.

use serde_json::json;

use crate::api_keys::{bearer, me};
use crate::support::Shop;

#[tokio::test]
async fn a_service_has_keys_that_an_administrator_makes() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.register("ada").await);
    let path = "/auth/services/warehouse/api-keys";
    let body = json!({"name": "stock feed", "scopes": ["user:read"]});
    let refused = shop.post(path).by(&ada).json(body.clone()).send().await;
    refused.refused(403, "FORBIDDEN");
    let reply = shop.post(path).by(&admin).json(body).send().await;
    assert_eq!(reply.expect(201)["owner"], "svc:warehouse");
    let key = bearer(&reply);
    shop.get("/users").by(&key).send().await.expect(200);
    shop.delete(&ada.path())
        .by(&key)
        .send()
        .await
        .refused(403, "FORBIDDEN");
    // It is no user: nothing is its own.
    me(&shop, &key).await.refused(403, "FORBIDDEN");
    let id = reply.expect(201)["id"].as_str().unwrap();
    let listed = shop.get(path).by(&admin).send().await;
    assert_eq!(listed.expect(200)[0]["id"], json!(id));
    let revoke = shop.delete(&format!("{path}/{id}")).by(&admin).send().await;
    assert_eq!(revoke.status, 204, "{}", revoke.body);
    shop.get("/users")
        .by(&key)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn no_service_gets_what_only_the_platforms_own_may() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let path = "/auth/services/warehouse/api-keys";
    for scope in ["admin:*", "identity:ask", "*:read", "order:*", "*:*"] {
        let body = json!({"name": "x", "scopes": [scope]});
        let reply = shop.post(path).by(&admin).json(body).send().await;
        reply.refused(422, "VALIDATION_FAILED");
    }
    let body = json!({"name": "x"});
    let path = "/auth/services/Ware%20House/api-keys";
    let reply = shop.post(path).by(&admin).json(body).send().await;
    reply.refused(400, "INVALID_PARAMETER");
}
