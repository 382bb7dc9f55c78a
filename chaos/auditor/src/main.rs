//! `log-auditor postgres://… --journals DIR`: prints the balance sheet; exit code 1 if anything does not add up.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Reads an event log's tables, without any of its code, and judges them.")]
struct Arguments {
    /// Where the store is: `sqlite://DIR` or `postgres://…`.
    database: String,
    /// The module: a schema of PostgreSQL, a file of SQLite.
    #[arg(long, default_value = "chaos")]
    module: String,
    /// The folder with the writers' journals, `NAME-LIFE.jsonl`.
    #[arg(long)]
    journals: PathBuf,
    /// Who followed the log to its end: `each`, `fold`, `hot`, `rebuilt`.
    #[arg(long, value_delimiter = ',')]
    followers: Vec<String>,
    /// The longest any call of a writer may have taken.
    #[arg(long, default_value_t = 60)]
    stuck_seconds: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let journals = log_auditor::Journals::read(&arguments.journals)?;
    let books = log_auditor::Books::read(&arguments.database, &arguments.module).await?;
    let wishes = log_auditor::Wishes {
        followers: arguments.followers,
        stuck_ms: arguments.stuck_seconds * 1_000,
    };
    let audit = log_auditor::audit(&books, &journals, &wishes);
    print!("{}", audit.sheet);
    Ok(if audit.complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
