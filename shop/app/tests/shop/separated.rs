//! Services that are apart: each context with a database of its own, and mutual TLS between them.

mod certificates;

use std::path::Path;
use std::time::Duration;

use shop_cluster::{Broker, CONTEXTS, Certificates};
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, params};
use stanchion_testing::servers::{self, Nats};

use self::certificates::Authority;
use crate::support::{READY_WITHIN, Shop, eventually, item};

#[tokio::test]
async fn each_context_can_have_a_database_of_its_own() {
    let Some(nats) = Nats::required() else {
        return;
    };
    let databases = CONTEXTS.map(|_| servers::required("postgres"));
    let [Some(one), Some(two), Some(three), Some(four)] = databases else {
        return;
    };
    let databases = [one, two, three, four];
    let shop = Shop::start_in_services_as(Broker::At(nats.url()), |plan| {
        plan.databases = databases.clone();
    });
    let Some(shop) = shop.await else {
        return;
    };
    shop.stocked().await;

    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    for (context, url) in CONTEXTS.iter().zip(&databases) {
        assert_eq!(
            schemas(url).await,
            [*context],
            "in the database of {context}"
        );
    }
}

/// The contexts that have tables in a database.
async fn schemas(url: &str) -> Vec<String> {
    let url: DatabaseUrl = url.parse().unwrap();
    let settings = DatabaseSettings::default();
    let db = Db::open_read_only(&url, "public", &settings).await.unwrap();
    let sql = "select distinct table_schema::text from information_schema.tables where table_name = 'event' order by 1";
    let rows = db.query(sql, params![]).await.unwrap();
    db.close().await;
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test]
async fn services_speak_mutual_tls_and_let_nobody_in_without_a_certificate_of_theirs() {
    let (folder, stranger) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = [&CONTEXTS[..], &["front"]].concat();
    Authority::new("the shop").give(folder.path(), &names);
    // Its own roots are the shop's: it trusts them, they do not trust it.
    Authority::new("somebody else").give(stranger.path(), &names);
    let Some(nats) = Nats::required() else {
        return;
    };
    let shop = Shop::start_in_services_as(Broker::At(nats.url()), |plan| {
        plan.tls = Some(Certificates::in_folder(folder.path()));
    });
    let Some(mut shop) = shop.await else {
        return;
    };
    shop.stocked().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");

    // Orders comes with a certificate of somebody else's: it hears no prices, and sells nothing.
    let services = shop.services.as_mut().unwrap();
    let orders = services.service("orders-api").unwrap();
    let strange = Certificates::in_folder(stranger.path());
    for asked in ["IDENTITY", "INVENTORY"] {
        let of = |what: &str| format!("SHOP__{asked}__CLIENT__TLS__{what}");
        orders.set(&of("CERTIFICATE"), path(&strange.certificate("orders")));
        orders.set(&of("KEY"), path(&strange.key("orders")));
    }
    orders.kill().unwrap();
    orders.spawn().unwrap();
    orders.ready(READY_WITHIN).await.unwrap();
    let admin = orders.admin().to_owned();
    eventually("orders lacks the others", READY_WITHIN, || async {
        let ready = shop.fetch_at(&admin, "/ready").send().await.expect(200);
        (ready.json()["status"] == "degraded").then_some(())
    })
    .await;
    let refused = ada.post("/orders").key("k").json(&item("MUG-BLUE", 1));
    refused.send().await.expect_error(503, "UNAVAILABLE");

    let inventory = shop.services.as_ref().unwrap().endpoint("inventory");
    let ours = Certificates::in_folder(folder.path());
    let (none, strange) = (None, Some(("orders", &strange)));
    for (identity, comes_in) in [
        (none, false),
        (strange, false),
        (Some(("orders", &ours)), true),
    ] {
        let asked = ask(&inventory, &ours, identity).await;
        assert_eq!(asked.is_ok(), comes_in, "{identity:?}: {asked:?}");
    }
}

/// `GET /ready`, by whom the certificate says.
async fn ask(
    url: &str,
    trusted: &Certificates,
    identity: Option<(&str, &Certificates)>,
) -> reqwest::Result<u16> {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let root = reqwest::Certificate::from_pem(&read(&trusted.roots()))?;
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .tls_certs_only([root]);
    if let Some((name, own)) = identity {
        let both = [read(&own.certificate(name)), read(&own.key(name))].concat();
        client = client.identity(reqwest::Identity::from_pem(&both)?);
    }
    let answer = client.build()?.get(format!("{url}/ready")).send().await?;
    Ok(answer.status().as_u16())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
