//! Clients of the shop who ask at a steady rate, whatever happens to its instances, and count what went wrong.
//!
//! Each request has its time, and is sent then whether or not those before it were answered (an open loop); what it
//! took is counted from that time. Connections are kept and made by hand: nothing is repeated but what a careful client
//! may repeat, which is a request that was never sent, because its connection said `Connection: close` or GOAWAY or
//! could not be opened. Everything else that is no good answer is a failure. On `SIGTERM` nothing new is begun, what is
//! under way is waited for, and the table is printed; a failure makes the exit code 1.

mod account;
mod ask;
mod http1;
mod http2;
mod lane;
mod streams;
mod tally;
mod targets;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use account::Account;
use ask::Asks;
use http1::Http1;
use http2::Http2;
use lane::{Lane, Protocol};
use targets::Targets;

/// The shares of HTTP/1.1, HTTP/2 and gRPC in the rate.
const SHARES: [(Protocol, f64); 3] = [
    (Protocol::Http1, 0.4),
    (Protocol::Http2, 0.3),
    (Protocol::Grpc, 0.3),
];
/// Longest wait for what is under way at the end.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(about = "Clients of the shop at a steady rate, while its instances are restarted.")]
struct Arguments {
    /// Where HTTP/1.1 is spoken; several are taken in turn.
    #[arg(long, required = true, value_delimiter = ',')]
    http1: Vec<String>,
    /// Where HTTP/2 is spoken, for REST and gRPC.
    #[arg(long, required = true, value_delimiter = ',')]
    http2: Vec<String>,
    /// Requests a second, all protocols together.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Streams that are open at the same time: as many of gRPC as of server-sent events.
    #[arg(long, default_value_t = 10)]
    streams: u32,
    /// Orders a second whose clients wait for them to settle.
    #[arg(long, default_value_t = 1.0)]
    waits: f64,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let http1 = Arc::new(Http1::new(Targets::new(&arguments.http1)));
    let http2 = Arc::new(Http2::new(Targets::new(&arguments.http2)));
    let account = Account::open(&http1, arguments.seed).await?;
    let asks = Arc::new(Asks::new(account, arguments.seed));
    let closing = CancellationToken::new();
    let mut lanes = Vec::new();
    let mut work = JoinSet::new();
    for (protocol, share) in SHARES {
        let lane = Lane::new(protocol, &http1, &http2, &asks);
        lanes.push(Arc::clone(&lane.tally));
        work.spawn(lane.ask_until(closing.clone(), arguments.rate * share));
    }
    let waiting = Lane::new(Protocol::Waiting, &http1, &http2, &asks);
    lanes.push(Arc::clone(&waiting.tally));
    work.spawn(waiting.ask_until(closing.clone(), arguments.waits));
    let calls = streams::calls(&http2, &asks);
    let events = streams::events(&http1, &asks);
    lanes.extend([Arc::clone(&calls.tally), Arc::clone(&events.tally)]);
    for stream in [calls, events] {
        let stream = Arc::new(stream);
        for _ in 0..arguments.streams {
            work.spawn(Arc::clone(&stream).follow_until(closing.clone()));
        }
    }
    println!("under load");
    told_to_leave().await?;
    closing.cancel();
    let ended = timeout(ENDED_WITHIN, work.join_all()).await;
    ended.with_context(|| format!("something is not answered after {ENDED_WITHIN:?}"))?;
    println!("{}", tally::table(&lanes));
    let failed: u64 = lanes.iter().map(|lane| lane.failed()).sum();
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn told_to_leave() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
