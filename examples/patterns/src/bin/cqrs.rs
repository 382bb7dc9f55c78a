//! CQRS with a read model: decisions read their stream, lists read rows that are made of the log.
//!
//! The usual defect: a handler writes the list as well, dies in between, and the list is wrong for ever;
//! or an event is applied twice after a restart. Here rows and checkpoint commit together, every entry
//! is applied exactly once, and the whole list can be made anew from the log.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    EventLog, Expected, Filter, Metadata, NewEvent, Projection, ProjectionError, Recorded, StreamId,
};
use stanchion::sql::{
    Db, Migrations, Mode, Projector, SqlError, SqlLog, Tx, UnitOfWork, migrate, params,
};

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum SaleEvent {
    Sold { sku: String, quantity: i64 },
}

/// How many of each product were sold: a sum, so an entry that is applied twice would show.
struct SoldBySku;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("sales")?;
    migrate(&db, &[schema()], Mode::Auto).await?;
    let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await?);
    for (sku, quantity) in [("lamp", 2), ("mug", 10), ("lamp", 3)] {
        sell(&db, sku, quantity).await?;
    }

    let projector = Projector::new(db.clone(), Arc::clone(&log), SoldBySku);
    let at = projector.catch_up().await?;
    println!("after position {at}: {:?}", list(&db).await?);

    // A restart: another projector, the same checkpoint. Nothing is counted twice.
    let restarted = Projector::new(db.clone(), log, SoldBySku);
    sell(&db, "mug", 1).await?;
    restarted.catch_up().await?;
    println!("after a restart and one more sale: {:?}", list(&db).await?);

    db.exec("update sold_by_sku set quantity = 999", params![])
        .await?;
    restarted.rebuild().await?;
    println!("damaged, then made anew: {:?}", list(&db).await?);

    assert_eq!(list(&db).await?, ["lamp 5", "mug 11"]);
    Ok(())
}

#[async_trait]
impl Projection<Tx> for SoldBySku {
    fn name(&self) -> &'static str {
        "sold_by_sku"
    }

    fn filter(&self) -> Filter {
        Filter::category("sale")
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let SaleEvent::Sold { sku, quantity } = recorded.decode()?;
        tx.queue(
            "insert into sold_by_sku (sku, quantity) values ($1, $2) \
             on conflict (sku) do update set quantity = sold_by_sku.quantity + $2",
            params![sku, quantity],
        );
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from sold_by_sku", params![]).await?;
        Ok(())
    }
}

/// The write side: it knows nothing of the list.
async fn sell(db: &Db, sku: &str, quantity: i64) -> anyhow::Result<()> {
    let sold = SaleEvent::Sold {
        sku: sku.into(),
        quantity,
    };
    let mut work = UnitOfWork::begin(db);
    let stream = StreamId::new("sale", sku);
    let events = vec![NewEvent::of(&sold)?];
    work.record(stream, Expected::Any, events, &Metadata::new(None));
    work.commit().await?;
    Ok(())
}

/// The read side: it knows nothing of the log.
async fn list(db: &Db) -> Result<Vec<String>, SqlError> {
    let sql = "select sku, quantity from sold_by_sku order by sku";
    let rows = db.query(sql, params![]).await?;
    let line =
        |row: &stanchion::sql::Row| Ok(format!("{} {}", row.get::<&str>(0)?, row.get::<i64>(1)?));
    rows.iter().map(line).collect()
}

fn schema() -> Migrations {
    Migrations::new("sales").with(
        1,
        "sold by sku",
        "create table sold_by_sku (sku text primary key, quantity bigint not null)",
        "drop table sold_by_sku",
    )
}
