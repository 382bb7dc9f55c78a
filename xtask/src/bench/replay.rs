//! `cargo xtask bench replay`: the shop starts on a log with a long past, and its lists are made of it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use stanchion_testing::{
    process::{Launch, free_port},
    servers::Postgres,
};
use tokio::time::Instant;

use crate::workspace;

const READY_WITHIN: Duration = Duration::from_secs(120);
const REPLAYED_WITHIN: Duration = Duration::from_secs(900);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What a shop must be given when its store is not embedded; these seal nothing that anybody keeps.
const SECRETS: [(&str, &str); 3] = [
    ("SHOP__SERVER__SECRET", "signs-the-cursors-of-a-measurement"),
    ("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", KEY),
    ("SHOP__PERSONAL__MASTER_KEY", KEY),
];
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many orders the shop had; each has two events.
    #[arg(long, default_value_t = 500_000)]
    orders: u64,
    /// On PostgreSQL as well as on embedded storage.
    #[arg(long)]
    postgres: bool,
    /// Where `shop` and `shop-history` are; built unless given.
    #[arg(long)]
    programs: Option<PathBuf>,
}

/// What one start came to.
struct Start {
    ready: Duration,
    /// Until the lists included the log's last event.
    replayed: Duration,
    /// The most memory the process ever had resident, in MiB.
    memory: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = match &options.programs {
        Some(folder) => folder.canonicalize()?,
        None => workspace::programs(&["shop", "shop-history"], true)?,
    };
    let folder = workspace::target().join("bench/replay");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    println!(
        "| store | events | made in | start | ready | lists complete | events/s | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    measure(&programs, &folder, options, "SQLite", "sqlite://data")?;
    if options.postgres {
        let server = Postgres::start()?;
        let url = server.fresh_database()?;
        measure(&programs, &folder, options, "PostgreSQL", &url)?;
    }
    Ok(())
}

fn measure(
    programs: &Path,
    folder: &Path,
    options: &Options,
    store: &str,
    url: &str,
) -> Result<()> {
    let mut migrate = Command::new(programs.join("shop"));
    migrate.arg("migrate").env("SHOP__DATABASE__URL", url);
    quietly(migrate.current_dir(folder))?;
    let began = Instant::now();
    let mut history = Command::new(programs.join("shop-history"));
    history.arg(format!("--url={url}"));
    history.arg(format!("--orders={}", options.orders));
    quietly(history.current_dir(folder))?;
    let made = began.elapsed();
    let events = options.orders * 2;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for (start, applies) in [("first", events), ("again", 0)] {
        let one = runtime.block_on(start_on(programs, folder, url, applies))?;
        let rate = match applies {
            0 => "-".to_owned(),
            events => format!("{:.0}", events as f64 / one.replayed.as_secs_f64()),
        };
        println!(
            "| {store} | {events} | {made:.1?} | {start} | {:.0?} | {:.1?} | {rate} | {} MiB |",
            one.ready, one.replayed, one.memory
        );
    }
    Ok(())
}

async fn start_on(programs: &Path, folder: &Path, url: &str, applies: u64) -> Result<Start> {
    let (public, admin) = (free_port()?, free_port()?);
    let launch = SECRETS
        .iter()
        .fold(
            Launch::new(programs.join("shop")),
            |launch, (key, value)| launch.env(*key, *value),
        )
        .folder(folder)
        .env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{public}"))
        .env("SHOP__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
        .env("SHOP__DATABASE__URL", url)
        .env("SHOP__TELEMETRY__FORMAT", "json")
        .ready_when(format!("http://127.0.0.1:{public}/ready"));
    let began = Instant::now();
    let mut process = launch.spawn()?;
    let ready = process.ready(READY_WITHIN).await?;
    let replayed = loop {
        if applied(admin)? >= applies {
            break began.elapsed();
        }
        if began.elapsed() > REPLAYED_WITHIN {
            bail!("the lists are not complete\n{}", process.stderr());
        }
        tokio::time::sleep(LOOK).await;
    };
    let memory = peak(process.pid())?;
    let stopped = process.terminate(STOPPED_WITHIN).await?;
    ensure!(stopped.success(), "the shop stopped with {stopped}");
    Ok(Start {
        ready,
        replayed,
        memory,
    })
}

/// How many entries are in the list of orders since the start.
fn applied(admin: u16) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find(|line| {
        line.starts_with("stanchion_projection_applied_total{") && line.contains("order_summaries")
    });
    let count = line.and_then(|line| line.rsplit(' ').next());
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
}

fn peak(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib
        .context("the system does not say how much memory it has")?
        .parse()?;
    Ok(kib / 1024)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
