//! What stands in for Kafka as a process of its own, for trying: prints its URL, and ends when its input does.

use std::io::Read;

use stanchion_kafka::StandIn;
use stanchion_runtime::task;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let broker = StandIn::start().await?;
    println!("{}", broker.url());
    let ended = task::blocking("input", || std::io::stdin().read_to_end(&mut Vec::new()));
    let ended = ended.await.map_err(std::io::Error::other)?;
    ended.map(drop)
}
