//! `shop-auditor sqlite://data --ledger ledger.jsonl`: prints the balance sheet; exit code 1 if it does not add up.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stanchion::sql::DatabaseUrl;

#[derive(Parser)]
#[command(about = "Reads the shop's stores, without any of its code, and judges them.")]
struct Arguments {
    /// Where the stores are: `sqlite://DIR` or `postgres://…`.
    #[arg(default_value = "sqlite://data")]
    database: DatabaseUrl,
    /// Where the sandbox gateway keeps its books, `sqlite://DIR`; beside embedded stores unless given.
    #[arg(long)]
    gateway: Option<DatabaseUrl>,
    /// What clients noted down of the answers they got.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let (gateway, ledger) = (arguments.gateway.as_ref(), arguments.ledger.as_deref());
    let audit = shop_auditor::audit(&arguments.database, gateway, ledger).await?;
    print!("{}", audit.sheet);
    Ok(if audit.complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
