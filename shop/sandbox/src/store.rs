//! What the sandbox remembers, in `sandbox.db`: durable before anything is answered.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stanchion::sql::{DatabaseSettings, Db, SqlError, params};

use crate::Settings;
use crate::intent::{Intent, new_id};
use crate::refund::Refund;

const MODULE: &str = "sandbox";

/// The version of the wire format that events carry.
const API_VERSION: &str = "2020-08-27";

pub(crate) struct Store {
    db: Db,
}

/// What one call changes, all of it or nothing.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) intent: Option<Intent>,
    pub(crate) refund: Option<Refund>,
    pub(crate) event: Option<(&'static str, Value)>,
    pub(crate) answer: Option<KeptAnswer>,
}

/// An answer given under an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptAnswer {
    pub(crate) key: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A webhook that is to be delivered.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) payload: String,
    pub(crate) attempts: i64,
}

impl Store {
    pub(crate) async fn open(settings: &Settings) -> Result<Self, SqlError> {
        let db = match &settings.database {
            Some(url) => Db::open(url, MODULE, &DatabaseSettings::default()).await?,
            None => Db::memory(MODULE)?,
        };
        db.script(include_str!("schema.sql")).await?;
        Ok(Self { db })
    }

    /// The secret of that name: the given one, the kept one, or a new one that is kept.
    pub(crate) async fn secret(
        &self,
        name: &str,
        given: Option<&SecretString>,
        prefix: &str,
    ) -> Result<SecretString, SqlError> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        let fresh: String = stanchion::runtime::random::bytes::<24>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let fresh = SecretString::from(format!("{prefix}{fresh}"));
        let insert = "insert into secrets (name, value) values ($1, $2) on conflict do nothing";
        self.db
            .exec(insert, params![name, fresh.expose_secret()])
            .await?;
        let select = "select value from secrets where name = $1";
        let row = self.db.one(select, params![name]).await?;
        Ok(row.get::<String>(0)?.into())
    }

    pub(crate) async fn intent(&self, id: &str) -> Result<Option<Intent>, SqlError> {
        self.object("select body from intents where id = $1", id)
            .await
    }

    pub(crate) async fn refund(&self, id: &str) -> Result<Option<Refund>, SqlError> {
        self.object("select body from refunds where id = $1", id)
            .await
    }

    pub(crate) async fn answer(&self, key: &str) -> Result<Option<KeptAnswer>, SqlError> {
        let select = "select fingerprint, status, body from answers where key = $1";
        let Some(row) = self.db.opt(select, params![key]).await? else {
            return Ok(None);
        };
        Ok(Some(KeptAnswer {
            key: key.to_owned(),
            fingerprint: row.get(0)?,
            status: u16::try_from(row.get::<i64>(1)?).unwrap_or(500),
            body: row.json(2)?,
        }))
    }

    /// Writes all of it in one transaction.
    pub(crate) async fn commit(&self, changes: Changes, now: i64) -> Result<(), SqlError> {
        let tx = self.db.begin();
        if let Some(intent) = &changes.intent {
            let upsert = "insert into intents (id, body) values ($1, $2)
                on conflict (id) do update set body = excluded.body";
            tx.queue(upsert, params![intent.id.as_str(), text(intent)?]);
        }
        if let Some(refund) = &changes.refund {
            let upsert = "insert into refunds (id, intent, body) values ($1, $2, $3)
                on conflict (id) do update set body = excluded.body";
            let row = params![refund.id.as_str(), refund.intent.as_str(), text(refund)?];
            tx.queue(upsert, row);
        }
        if let Some((kind, object)) = changes.event {
            let insert =
                "insert into deliveries (id, payload, attempts, due_at) values ($1, $2, 0, $3)";
            let id = new_id("evt");
            let payload = event(&id, kind, object, now).to_string();
            tx.queue(insert, params![id, payload, now]);
        }
        if let Some(answer) = changes.answer {
            let insert = "insert into answers (key, fingerprint, status, body, at)
                values ($1, $2, $3, $4, $5)";
            let body = answer.body.to_string();
            let status = i64::from(answer.status);
            tx.queue(
                insert,
                params![answer.key, answer.fingerprint, status, body, now],
            );
        }
        tx.commit().await
    }

    /// Forgets answers given before `before`, at most `limit` of them.
    pub(crate) async fn forget_answers(&self, before: i64, limit: i64) -> Result<u64, SqlError> {
        let delete = "delete from answers where key in
            (select key from answers where at < $1 order by at limit $2)";
        self.db.exec(delete, params![before, limit]).await
    }

    /// Webhooks due at `now`, oldest first, at most `limit`.
    pub(crate) async fn due(&self, now: i64, limit: i64) -> Result<Vec<Delivery>, SqlError> {
        let select = "select id, payload, attempts from deliveries where due_at <= $1
            order by due_at, id limit $2";
        let rows = self.db.query(select, params![now, limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(Delivery {
                    id: row.get(0)?,
                    payload: row.get(1)?,
                    attempts: row.get(2)?,
                })
            })
            .collect()
    }

    /// A webhook arrived, or is given up.
    pub(crate) async fn done(&self, id: &str) -> Result<(), SqlError> {
        let delete = "delete from deliveries where id = $1";
        self.db.exec(delete, params![id]).await.map(drop)
    }

    /// A webhook did not arrive and is tried again at `due_at`.
    pub(crate) async fn postpone(&self, delivery: &Delivery, due_at: i64) -> Result<(), SqlError> {
        let update = "update deliveries set attempts = $2, due_at = $3 where id = $1";
        let row = params![delivery.id.as_str(), delivery.attempts + 1, due_at];
        self.db.exec(update, row).await.map(drop)
    }

    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    async fn object<T: DeserializeOwned>(
        &self,
        select: &str,
        id: &str,
    ) -> Result<Option<T>, SqlError> {
        let row = self.db.opt(select, params![id]).await?;
        row.map(|row| row.json(0)).transpose()
    }
}

fn text(object: &impl Serialize) -> Result<String, SqlError> {
    serde_json::to_string(object).map_err(|error| SqlError::Usage(error.to_string()))
}

fn event(id: &str, kind: &str, object: Value, created: i64) -> Value {
    json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "type": kind,
        "data": {"object": object},
        "livemode": false,
    })
}
