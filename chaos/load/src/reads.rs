//! Somebody who only reads, and notes down whether that was possible.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stanchion::eventsourcing::{Filter, Position, StreamId, Version};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

const EVERY: Duration = Duration::from_millis(50);
const ENTRIES: usize = 100;

pub(crate) async fn read(
    store: Arc<Store>,
    notes: PathBuf,
    closing: CancellationToken,
) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(&notes);
    let mut file = file.with_context(|| notes.display().to_string())?;
    while !closing.is_cancelled() {
        let line = match once(&store).await {
            Ok(entries) => format!("read {entries}\n"),
            Err(error) => format!("refused {error}\n"),
        };
        file.write_all(line.as_bytes())?;
        sleep(EVERY).await;
    }
    Ok(())
}

/// The end of the log and the beginning of a stream.
async fn once(store: &Store) -> Result<usize, stanchion::eventsourcing::LogError> {
    let head = store.log.head().await?;
    let from = Position((head.0 - ENTRIES as i64).max(0));
    let entries = store.log.read(from, &Filter::all(), ENTRIES).await?;
    let stream = StreamId::new("hot", "0");
    let events = store.log.read_stream(&stream, Version(0), ENTRIES).await?;
    Ok(entries.len() + events.len())
}
