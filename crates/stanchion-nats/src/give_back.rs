//! Giving back at the end of a subscription.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{StatusCode, Subject, Subscriber as Inbox};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use stanchion_runtime::task;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::connection::Connection;
use super::words::NAK;

/// How long a subscription that has ended waits for what was on its way.
const GIVE_BACK: Duration = Duration::from_secs(1);

pub(crate) fn give_back(connection: &Connection, reply: Subject) {
    let back = connection.client.publish(reply, Bytes::from_static(NAK));
    let _left_to_the_server = back.now_or_never();
}

/// Ends the requests, then gives back what came before the server heard of it.
pub(crate) fn give_back_late(connection: &Arc<Connection>, inbox: Inbox) {
    if Handle::try_current().is_err() {
        return;
    }
    let connection = Arc::clone(connection);
    task::spawn("nats-give-back", async move {
        let _late = timeout(GIVE_BACK, give_back_all(&connection, inbox)).await;
    });
}

async fn give_back_all(connection: &Connection, mut inbox: Inbox) {
    if inbox.drain().await.is_err() {
        return;
    }
    while let Some(raw) = inbox.next().await {
        if let (None | Some(StatusCode::OK), Some(reply)) = (raw.status, raw.reply) {
            give_back(connection, reply);
        }
    }
}
