//! One after the other, where several at once end badly.

use std::time::Duration;

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use stanchion_messaging::BrokerError;

use super::{close, delete, is_amqp};
use crate::connect::unavailable;

/// How often a connection asks whether it is its turn.
const TURN_POLL: Duration = Duration::from_millis(50);

/// One connection's turn to declare something: a queue that is its alone. Several that declare the same quorum queue at
/// once end in an internal error of RabbitMQ 3.10, and with it their connections.
pub(super) struct Turn(String);

impl Turn {
    /// Waits for it; whoever has it and dies gives it back with its connection.
    pub(super) async fn take(connection: &Connection, name: String) -> Result<Self, BrokerError> {
        loop {
            let channel = connection.create_channel().await.map_err(unavailable)?;
            let options = QueueDeclareOptions::exclusive();
            let taken = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
            match taken.await {
                Ok(_mine) => {
                    close(&channel);
                    return Ok(Self(name));
                }
                Err(error) if is_amqp(&error, 405) => tokio::time::sleep(TURN_POLL).await,
                Err(error) => return Err(unavailable(error)),
            }
        }
    }

    pub(super) async fn give(self, connection: &Connection) -> Result<(), BrokerError> {
        delete(connection, &self.0).await
    }
}
