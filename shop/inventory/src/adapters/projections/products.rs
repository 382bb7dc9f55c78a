//! The list of products: one row each, and the queries over it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, Sku};
use stanchion::eventsourcing::{
    Aggregate, EventLog, Filter, Projection, ProjectionError, Recorded,
};
use stanchion::server::{ConsistencyToken, Deadline, Listed, Listing, Order, Problem, codes};
use stanchion::sql::{Db, List, Projector, Row, SqlError, Tx, Value, params};

use crate::adapters::http::products::ProductFilters;
use crate::domain::product::{Product, ProductEvent};

/// Keeps the rows.
pub(crate) struct ProductRows;

#[async_trait]
impl Projection<Tx> for ProductRows {
    fn name(&self) -> &'static str {
        "products"
    }

    fn filter(&self) -> Filter {
        Filter::category(Product::CATEGORY)
    }

    fn tables(&self) -> &'static [&'static str] {
        &["products"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let (sku, version) = (event.stream.id(), event.version);
        let (sql, params) = match event.decode::<ProductEvent>()? {
            ProductEvent::ProductCreated {
                about,
                available,
                at,
            } => (
                "insert into products (sku, name, name_folded, description, price_amount, \
                 price_currency, available, listed, version, created_at, updated_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, true, $8, $9, $9) \
                 on conflict (sku) do update set name = excluded.name, \
                 name_folded = excluded.name_folded, description = excluded.description, \
                 price_amount = excluded.price_amount, price_currency = excluded.price_currency, \
                 available = products.available + excluded.available, listed = true, \
                 version = excluded.version, created_at = excluded.created_at, \
                 updated_at = excluded.updated_at",
                params![
                    sku,
                    about.name.as_str(),
                    about.name.to_lowercase(),
                    about.description,
                    about.price.amount,
                    about.price.currency.as_str(),
                    available,
                    version,
                    at
                ],
            ),
            ProductEvent::ProductDescribed { about, at } => (
                "update products set name = $2, name_folded = $3, description = $4, \
                 price_amount = $5, price_currency = $6, version = $7, updated_at = $8 where sku = $1",
                params![
                    sku,
                    about.name.as_str(),
                    about.name.to_lowercase(),
                    about.description,
                    about.price.amount,
                    about.price.currency.as_str(),
                    version,
                    at
                ],
            ),
            ProductEvent::ProductWithdrawn { .. } => (
                "update products set listed = false, available = 0, version = $2 where sku = $1",
                params![sku, version],
            ),
            #[cfg(feature = "next")]
            ProductEvent::StockAdjusted { delta, at, .. } => (
                "update products set available = available + $2, version = $3, updated_at = $4, \
                 restocked_at = case when $2 > 0 then $4 else restocked_at end where sku = $1",
                params![sku, delta, version, at],
            ),
            #[cfg(not(feature = "next"))]
            ProductEvent::StockAdjusted { delta, at, .. } => (
                "update products set available = available + $2, version = $3, updated_at = $4 \
                 where sku = $1",
                params![sku, delta, version, at],
            ),
            ProductEvent::StockHeld { quantity, .. } => moved(sku, -quantity, event),
            ProductEvent::HeldStockCommitted { .. } => moved(sku, 0, event),
            ProductEvent::HeldStockReleased { quantity, .. }
            | ProductEvent::StockReturned { quantity, .. } => moved(sku, quantity, event),
        };
        tx.queue(sql, params);
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue("delete from products", params![]);
        Ok(())
    }
}

fn moved(sku: &str, by: i64, event: &Recorded) -> (&'static str, Vec<Value>) {
    (
        "update products set available = available + $2, version = $3 where sku = $1",
        params![sku, by, event.version],
    )
}

/// One row of the list.
pub(crate) struct ProductRow {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
    pub(crate) available: i64,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    name_folded: String,
}

const COLUMNS: &str = "sku, name, description, price_amount, price_currency, available, version, \
                       created_at, updated_at, name_folded";

/// The queries.
pub(crate) struct ProductList {
    pub(crate) db: Db,
    pub(crate) projector: Projector,
    pub(crate) log: Arc<dyn EventLog>,
}

impl ProductList {
    pub(crate) async fn read(
        &self,
        listing: &Listing<ProductFilters>,
        consistency: ConsistencyToken,
    ) -> Result<Listed<ProductRow>, Problem> {
        self.catch_up(consistency).await?;
        let list = wanted(listing)?;
        let (rows, total) = self
            .fetch(&list, listing)
            .await
            .map_err(Problem::unavailable)?;
        Ok(Listed::of(listing, rows, total, |row| {
            (row.sort_key(listing.sort), row.sku.clone())
        }))
    }

    async fn fetch(
        &self,
        list: &List,
        listing: &Listing<ProductFilters>,
    ) -> Result<(Vec<ProductRow>, Option<u64>), SqlError> {
        let rows = list.rows(&self.db, listing.fetch()).await?;
        let total = if listing.wants_total() {
            Some(list.total(&self.db).await?)
        } else {
            None
        };
        Ok((rows.iter().map(product).collect::<Result<_, _>>()?, total))
    }

    /// Waits until the rows include the write whose token was sent.
    async fn catch_up(&self, consistency: ConsistencyToken) -> Result<(), Problem> {
        let Some((position, Deadline(deadline))) =
            consistency.position(self.log.id()).zip(Deadline::current())
        else {
            return Ok(());
        };
        let reached = self.projector.wait_for(position, deadline).await;
        reached.map_err(|behind| match behind.halted {
            // Said at once: the time that is left would not help.
            Some(_) => Problem::unavailable(behind),
            None => codes::DEADLINE_EXCEEDED.problem().caused_by(behind),
        })
    }
}

fn wanted(listing: &Listing<ProductFilters>) -> Result<List, Problem> {
    let column = match listing.sort {
        "name" => "name_folded",
        "price" => "price_amount",
        _ => "created_at",
    };
    let mut list = List::of("products", COLUMNS, "sku")
        .only("listed")
        .filter_some(
            "name_folded like # escape '\\' or lower(sku) like # escape '\\'",
            listing.filters.q.as_deref().map(containing),
        )
        .sorted_by(column, listing.order == Order::Desc)
        .offset(listing.offset());
    if let Some(in_stock) = listing.filters.in_stock {
        list = list.only(if in_stock {
            "available > 0"
        } else {
            "available = 0"
        });
    }
    if let Some((key, sku)) = listing.after::<(SortKey, Sku)>()? {
        list = list.after(vec![key.into(), sku.as_str().into()]);
    }
    Ok(list)
}

/// Part of a text, whatever the client wrote.
fn containing(text: &str) -> String {
    let folded = text.to_lowercase();
    let plain = folded
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{plain}%")
}

/// What the list was sorted by, as the cursor keeps it.
#[derive(Serialize, Deserialize)]
enum SortKey {
    Name(String),
    Price(i64),
    CreatedAt(Timestamp),
}

impl From<SortKey> for Value {
    fn from(key: SortKey) -> Self {
        match key {
            SortKey::Name(name) => name.into(),
            SortKey::Price(amount) => amount.into(),
            SortKey::CreatedAt(at) => at.into(),
        }
    }
}

impl ProductRow {
    fn sort_key(&self, sort: &str) -> SortKey {
        match sort {
            "name" => SortKey::Name(self.name_folded.clone()),
            "price" => SortKey::Price(self.price.amount),
            _ => SortKey::CreatedAt(self.created_at),
        }
    }
}

fn product(row: &Row) -> Result<ProductRow, SqlError> {
    let unreadable = |error: &dyn std::fmt::Display| SqlError::Decode(error.to_string());
    let currency = row
        .get::<&str>(4)?
        .parse()
        .map_err(|error| unreadable(&error))?;
    Ok(ProductRow {
        sku: row
            .get::<&str>(0)?
            .parse()
            .map_err(|error| unreadable(&error))?,
        name: row.get(1)?,
        description: row.get(2)?,
        price: Money::new(row.get(3)?, currency),
        available: row.get(5)?,
        version: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        name_folded: row.get(9)?,
    })
}
