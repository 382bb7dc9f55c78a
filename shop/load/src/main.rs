//! Customers of the shop, who know its public contract and nothing else.
//!
//! They order, cancel and take deliveries, each request under an idempotency key that is repeated
//! until it is answered, whatever happens to the shop meanwhile; what was shed is repeated when the
//! shop says, and is broken where it is shed for a minute. Every answer is noted in a ledger,
//! a JSON object a line, before anything is done with it. On `SIGTERM` or `SIGINT` they begin
//! nothing new, wait until every order they know of is settled, and leave.

mod client;
mod customer;
mod ledger;
mod warehouse;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use client::Client;
use customer::Customer;
use ledger::Ledger;

/// The administrator's password, for deliveries; without it nothing is delivered.
const ADMIN_PASSWORD: &str = "SHOP__IDENTITY__ADMIN_PASSWORD";

#[derive(Parser)]
#[command(
    about = "Customers of the shop, who retry as good clients do and note down every answer."
)]
struct Arguments {
    /// Where the shop is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// How many customers order at the same time.
    #[arg(long, default_value_t = 8)]
    customers: usize,
    /// Where answers are noted.
    #[arg(long, default_value = "ledger.jsonl")]
    ledger: PathBuf,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longest pause of a customer between two orders, in milliseconds.
    #[arg(long, default_value_t = 40)]
    pause_ms_max: u64,
    /// Longest wait for the last orders to settle, in seconds.
    #[arg(long, default_value_t = 120)]
    settle_seconds: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Fails only where one is installed already, which is as good.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ledger = Arc::new(Ledger::open(&arguments.ledger)?);
    let closing = CancellationToken::new();
    let mut people = JoinSet::new();
    for number in 0..arguments.customers {
        let seed = arguments
            .seed
            .wrapping_mul(1_000)
            .wrapping_add(number as u64);
        let client = Client::new(&arguments.url, seed, Arc::clone(&ledger))?;
        let pause = Duration::from_millis(arguments.pause_ms_max);
        let customer = Customer::new(client, number, seed, pause);
        people.spawn(customer.shop_until(closing.clone()));
    }
    if let Ok(password) = std::env::var(ADMIN_PASSWORD) {
        let client = Client::new(&arguments.url, arguments.seed, Arc::clone(&ledger))?;
        people.spawn(warehouse::deliver_until(
            client,
            password,
            arguments.seed,
            closing.clone(),
        ));
    }
    told_to_leave().await?;
    closing.cancel();
    let settle = Duration::from_secs(arguments.settle_seconds);
    tokio::time::timeout(settle, people.join_all())
        .await
        .with_context(|| format!("some orders are not settled after {settle:?}"))?;
    println!("{}", ledger.summary());
    ensure!(
        ledger.broken() == 0,
        "the shop answered {} times with what no client should see",
        ledger.broken()
    );
    Ok(())
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
