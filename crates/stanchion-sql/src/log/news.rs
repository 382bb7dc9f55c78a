//! How a process learns of what other processes append: it is told, and looks by itself now and then.

use std::sync::Arc;
use std::time::Duration;

use stanchion_messaging::{LogId, Position};
use stanchion_runtime::task;

use super::{packets, read};
use crate::Db;
use crate::postgres::{Following, follow};

/// How late a reader may learn of entries that another process appended, if no hint came.
const POLL: Duration = Duration::from_millis(250);

/// Keeps the log's head up to date until it is dropped.
pub(super) struct News {
    poll: task::Task<()>,
    _following: Option<Following>,
}

impl News {
    /// On PostgreSQL; SQLite has one process.
    pub(super) fn of(db: &Db, log: LogId) -> Option<Self> {
        let postgres = db.postgres()?;
        let _following = postgres.settings().listen.then(|| {
            let inner = db.downgrade();
            let told = move |payload: Option<&str>| {
                let Some(db) = Db::upgrade(&inner) else {
                    return;
                };
                match payload.map(str::parse) {
                    Some(Ok(head)) => db.log().grew_to(Position(head)),
                    // Something may have been missed.
                    _ => drop(task::spawn("log-look", async move { look(&db).await })),
                }
            };
            follow(postgres, &packets::channel(log), Arc::new(told))
        });
        let poll = task::spawn("log-poll", poll(db.clone()));
        Some(Self { poll, _following })
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

async fn poll(db: Db) {
    loop {
        tokio::time::sleep(POLL).await;
        // Nobody to tell, nothing to ask.
        if db.log().head().receiver_count() > 0 {
            look(&db).await;
        }
    }
}

async fn look(db: &Db) {
    if let Ok(head) = read::head(db).await {
        db.log().grew_to(head);
    }
}
