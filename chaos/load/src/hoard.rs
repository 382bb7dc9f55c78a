//! Connections that others could use, held without a purpose.

use stanchion::runtime::task;
use stanchion::sql::tokio_postgres::{self, NoTls};
use tokio_util::sync::CancellationToken;

pub(crate) async fn until(
    closing: CancellationToken,
    url: &str,
    count: usize,
) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for _ in 0..count {
        // Refused: the server is full, as it should be.
        let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await else {
            break;
        };
        held.push((client, task::spawn("hoarded", connection)));
    }
    println!("holds {} connections", held.len());
    closing.cancelled().await;
    Ok(())
}
