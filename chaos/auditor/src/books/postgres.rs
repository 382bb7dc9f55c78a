//! PostgreSQL, by its driver alone.

use tokio_postgres::{Client, NoTls, Row};
use uuid::Uuid;

use super::{Account, Books, Event, Fold, Handled, Raw, WorkRow};

pub(super) async fn read(url: &str, module: &str) -> anyhow::Result<Books> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let read = async {
        let tables = format!(
            "set search_path = \"{module}\"; begin isolation level repeatable read read only"
        );
        client.batch_execute(&tables).await?;
        all(&client).await
    };
    tokio::select! {
        books = read => books,
        ended = connection => {
            ended?;
            anyhow::bail!("the connection ended")
        }
    }
}

async fn all(client: &Client) -> anyhow::Result<Books> {
    let events = "select e.position, e.category, s.name, e.version, e.event_id, e.data::text \
                  from event e left join stream s on s.stream = e.stream";
    let mut books = Books::default();
    for row in client.query(events, &[]).await? {
        books.events.push(Event::of(raw(&row)?)?);
    }
    for row in client.query("select key, position from inbox", &[]).await? {
        let (key, position) = (row.try_get(0)?, row.try_get(1)?);
        books.inbox.push(Handled { key, position });
    }
    for row in client
        .query("select id, account, cents from work_row", &[])
        .await?
    {
        let (id, account, cents) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        books.rows.push(WorkRow { id, account, cents });
    }
    for row in client
        .query("select name, n, cents from account", &[])
        .await?
    {
        let (name, n, cents) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        books.accounts.push(Account { name, n, cents });
    }
    for row in client
        .query("select position, event_id from each_row", &[])
        .await?
    {
        books
            .each
            .push((row.try_get(0)?, row.try_get::<_, Uuid>(1)?));
    }
    let folds = "select follower, stream, n, version, digest from fold_row";
    for row in client.query(folds, &[]).await? {
        books.folds.push(Fold {
            follower: row.try_get(0)?,
            stream: row.try_get(1)?,
            n: row.try_get(2)?,
            version: row.try_get(3)?,
            digest: row.try_get(4)?,
        });
    }
    for row in client
        .query("select name, position from checkpoint", &[])
        .await?
    {
        books.checkpoints.insert(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(books)
}

fn raw(row: &Row) -> Result<Raw, tokio_postgres::Error> {
    Ok(Raw {
        position: row.try_get(0)?,
        category: row.try_get(1)?,
        name: row.try_get(2)?,
        version: row.try_get(3)?,
        id: row.try_get(4)?,
        data: row.try_get(5)?,
    })
}
