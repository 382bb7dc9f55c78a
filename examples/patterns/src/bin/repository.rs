//! Repository: the program finds and saves customers; the SQL is known in one place.
//!
//! The usual defect is the lost update: two read the same row, both write, and the first change is
//! gone. Here a row has a version, and a write that expects an older one is refused.

use stanchion::runtime::id;
use stanchion::sql::{Db, Query, SqlError, params};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
struct Customer {
    id: Uuid,
    email: String,
    city: String,
    version: i64,
}

/// Runs on a `Db` or within a unit of work, whichever the caller has.
struct Customers;

#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error("the address is taken")]
    EmailTaken,
    #[error("somebody else changed it meanwhile: read it again")]
    Stale,
    #[error(transparent)]
    Store(#[from] SqlError),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("customers")?;
    db.script(
        "create table customer (id uuid primary key, email text not null unique, \
         city text not null, version bigint not null)",
    )
    .await?;
    let customers = Customers;
    let ada = customers.create(&db, "ada@example.org", "London").await?;

    let mut seen_by_one = ada.clone();
    let mut seen_by_other = ada;
    seen_by_one.city = "Paris".into();
    let saved = customers.update(&db, seen_by_one).await?;
    println!("moved to {}, version {}", saved.city, saved.version);

    seen_by_other.city = "Rome".into();
    let refused = customers.update(&db, seen_by_other).await;
    println!("a write on an old version: {refused:?}");
    let twice = customers.create(&db, "ada@example.org", "Oslo").await;
    println!("the same address again: {twice:?}");

    assert!(matches!(refused, Err(SaveError::Stale)));
    assert!(matches!(twice, Err(SaveError::EmailTaken)));
    let found = customers.find_by_email(&db, "ada@example.org").await?;
    assert_eq!(found, Some(saved), "the first change is still there");
    Ok(())
}

impl Customers {
    async fn find_by_email(
        &self,
        on: &dyn Query,
        email: &str,
    ) -> Result<Option<Customer>, SqlError> {
        let sql = "select id, email, city, version from customer where email = $1";
        let Some(row) = on.opt(sql, params![email]).await? else {
            return Ok(None);
        };
        Ok(Some(Customer {
            id: row.get(0)?,
            email: row.get(1)?,
            city: row.get(2)?,
            version: row.get(3)?,
        }))
    }

    async fn create(&self, on: &dyn Query, email: &str, city: &str) -> Result<Customer, SaveError> {
        let customer = Customer {
            id: id::new_v7(),
            email: email.into(),
            city: city.into(),
            version: 0,
        };
        // The unique index decides who was first; a look before the write could not.
        on.exec(
            "insert into customer (id, email, city, version) values ($1, $2, $3, 0)",
            params![customer.id, email, city],
        )
        .await
        .map_err(taken)?;
        Ok(customer)
    }

    async fn update(&self, on: &dyn Query, customer: Customer) -> Result<Customer, SaveError> {
        let sql = "update customer set city = $2, version = version + 1 \
                   where id = $1 and version = $3";
        let params = params![customer.id, customer.city.as_str(), customer.version];
        match on.exec(sql, params).await? {
            0 => Err(SaveError::Stale),
            _ => Ok(Customer {
                version: customer.version + 1,
                ..customer
            }),
        }
    }
}

fn taken(error: SqlError) -> SaveError {
    if error.conflicts_on("email") {
        return SaveError::EmailTaken;
    }
    SaveError::Store(error)
}
