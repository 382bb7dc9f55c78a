//! The auditor acquits honest books and finds each way in which books can be cooked.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shop_auditor::{Audit, Rule};
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, params};
use tempfile::TempDir;

use crate::support::{Caller, STOPPED_WITHIN, Shop, VISA, eventually, item, items};

/// What is done to a copy of the stores, and what the auditor must say.
const CRIMES: [(&str, &str, &str, Rule); 16] = [
    (
        "an event goes missing",
        "orders",
        "delete from event where position = 3",
        Rule::Hole,
    ),
    (
        "the last event goes missing",
        "orders",
        "delete from event where position = (select max(position) from event)",
        Rule::LeftBehind,
    ),
    (
        "a settlement goes missing",
        "orders",
        "delete from event where type = 'order_confirmed'",
        Rule::OrderUnsettled,
    ),
    (
        "a payment is taken twice",
        "payments",
        "insert into event select (select max(position) + 1 from event), e.stream, \
        (select max(version) + 1 from event s where s.stream = e.stream), randomblob(16), e.category, e.type, e.data, e.meta, e.at, e.checksum \
        from event e where e.type = 'captured' limit 1",
        Rule::MoneyDisagrees,
    ),
    (
        "an event's id is used twice",
        "payments",
        "drop table if exists copy; create table copy as select * from event; drop table event; \
        alter table copy rename to event; update event set event_id = (select event_id from event where position = 1) where position = 2",
        Rule::Twice,
    ),
    (
        "a cent is lost",
        "payments",
        "update event set data = json_set(data, '$.entries[0].amount', json_extract(data, '$.entries[0].amount') - 1) \
        where type = 'captured'",
        Rule::MoneyUnbalanced,
    ),
    (
        "a payment is of another amount",
        "payments",
        "update event set data = json_set(data, '$.amount.amount', 1) where type = 'requested'",
        Rule::MoneyDisagrees,
    ),
    (
        "more is sold than was ordered",
        "inventory",
        "update event set data = json_set(data, '$.quantity', 3) where type in ('stock_held', 'held_stock_committed')",
        Rule::StockDisagrees,
    ),
    (
        "more leaves than was held",
        "inventory",
        "update event set data = json_set(data, '$.quantity', 3) where type = 'held_stock_committed'",
        Rule::StockNotConserved,
    ),
    (
        "there was never that much",
        "inventory",
        "update event set data = json_set(data, '$.available', 0) where type = 'product_created'",
        Rule::StockNegative,
    ),
    (
        "the list shows another total",
        "orders",
        "update order_summaries set total = total + 1",
        Rule::ProjectionDiffers,
    ),
    (
        "the list shows other stock",
        "inventory",
        "update products set available = available + 1 where sku = 'MUG-BLUE'",
        Rule::ProjectionDiffers,
    ),
    (
        "a customer became an administrator",
        "identity",
        "update users set roles = 'admin' where username = 'ada'",
        Rule::ProjectionDiffers,
    ),
    (
        "a reader stands still",
        "payments",
        "update checkpoint set position = position - 1",
        Rule::LeftBehind,
    ),
    (
        "a timer never fired",
        "orders",
        "insert into timer (stream, name, category, due_at) values (randomblob(16), 'step', 'fulfilment', 0)",
        Rule::PutAside,
    ),
    (
        "the gateway took more",
        "sandbox",
        "update intents set body = json_set(body, '$.received', 1000000)",
        Rule::GatewayDisagrees,
    ),
];

#[tokio::test]
async fn honest_books_add_up_and_every_crime_is_found() {
    let scene = Scene::set().await;
    let honest = scene.audit(&scene.folder).await;
    assert!(honest.complaints.is_empty(), "{}", honest.sheet);
    let mut unfound = Vec::new();
    for (crime, module, sql, rule) in CRIMES {
        let copy = scene.copy();
        let url = DatabaseUrl::sqlite(copy.path());
        let db = Db::open(&url, module, &DatabaseSettings::default())
            .await
            .unwrap();
        for statement in sql.split("; ") {
            db.exec(statement, params![])
                .await
                .unwrap_or_else(|error| panic!("{crime}: {error}"));
        }
        db.close().await;
        let audit = scene.audit(copy.path()).await;
        if !audit
            .complaints
            .iter()
            .any(|complaint| complaint.rule == rule)
        {
            unfound.push(format!("{crime}: {:?}", audit.complaints));
        }
    }
    assert!(unfound.is_empty(), "{}", unfound.join("\n"));
}

#[tokio::test]
async fn what_clients_were_told_is_held_against_the_books() {
    let scene = Scene::set().await;
    let (ada, confirmed) = (scene.ada.as_str(), scene.confirmed.as_str());
    let nobody = stanchion::runtime::id::new_v7().to_string();
    let told = |key: &str, order: &str, status: &str| json!({"what": "order", "customer": ada, "key": key, "order": order, "status": status});
    let crimes = [
        (vec![told("a", &nobody, "pending")], Rule::OrderLost),
        (
            vec![
                told("a", confirmed, "pending"),
                told("b", confirmed, "pending"),
            ],
            Rule::OrderDoubled,
        ),
        (
            vec![json!({"what": "customer", "customer": ada})],
            Rule::OrderDoubled,
        ),
        (vec![told("a", confirmed, "rejected")], Rule::ClientMisled),
        (
            vec![json!({"what": "cancelled", "order": confirmed})],
            Rule::ClientMisled,
        ),
        (
            vec![json!({"what": "asked", "customer": ada, "key": "k"})],
            Rule::ClientMisled,
        ),
        (
            vec![json!({"what": "delivered", "sku": "MUG-BLUE", "quantity": 5, "key": "d"})],
            Rule::StockNotConserved,
        ),
    ];
    for (notes, rule) in crimes {
        let audit = scene.audit_with(&notes).await;
        let found = audit
            .complaints
            .iter()
            .any(|complaint| complaint.rule == rule);
        assert!(found, "{notes:?} is not {rule}: {:?}", audit.complaints);
    }
    let honest = scene.audit_with(&[told("a", confirmed, "confirmed")]).await;
    assert!(honest.complaints.is_empty(), "{}", honest.sheet);
}

/// A shop that has seen every kind of order and has stopped.
struct Scene {
    folder: PathBuf,
    ada: String,
    confirmed: String,
    _shop: Shop,
}

impl Scene {
    async fn set() -> Self {
        let mut shop = Shop::start_with(&[("SHOP__SERVER__LAME_DUCK", "0s")]).await;
        let ada = shop.customer("ada").await;
        let confirmed = ada.order(&item("MUG-BLUE", 2)).await.text_at("/id");
        ada.order(&item("WOODEN-SPOON", 2)).await;
        ada.order(&items(&[("MUG-BLUE", 1)], "pm_card_chargeDeclined"))
            .await;
        let returned = ada
            .order(&items(&[("KETTLE", 1), ("SCALE", 1)], VISA))
            .await;
        ada.post(&format!("/orders/{}/cancel", returned.text_at("/id")))
            .send()
            .await
            .expect(200);
        at_rest(&shop, &ada, &returned.text_at("/payment_id")).await;
        assert!(
            shop.process
                .terminate(STOPPED_WITHIN)
                .await
                .unwrap()
                .success()
        );
        Self {
            folder: shop.data(),
            ada: ada.id.clone(),
            confirmed,
            _shop: shop,
        }
    }

    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let entry = entry.unwrap();
            // Mails that were written, and no books.
            if entry.file_type().unwrap().is_dir() {
                continue;
            }
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        copy
    }

    async fn audit(&self, folder: &Path) -> Audit {
        shop_auditor::audit(&DatabaseUrl::sqlite(folder), None, None)
            .await
            .unwrap()
    }

    async fn audit_with(&self, notes: &[Value]) -> Audit {
        let ledger = tempfile::NamedTempFile::new().unwrap();
        let lines: String = notes.iter().map(|note| format!("{note}\n")).collect();
        fs::write(ledger.path(), lines).unwrap();
        shop_auditor::audit(
            &DatabaseUrl::sqlite(&self.folder),
            None,
            Some(ledger.path()),
        )
        .await
        .unwrap()
    }
}

/// Until the last money went back and everybody has read of it.
async fn at_rest(shop: &Shop, caller: &Caller, payment: &str) {
    let path = "/payments?status=refunded&limit=100";
    eventually("the money went back", STOPPED_WITHIN, || async {
        let list = caller.get(path).send().await.expect(200);
        list.text.contains(payment).then_some(())
    })
    .await;
    shop.adds_up(STOPPED_WITHIN).await;
}
