//! `cargo xtask chaos overload`: more is asked than can be done, and the service does what it can.
//!
//! Real processes: a service with the default settings before a stub whose capacity is bound by its slots, an open-loop
//! load, and for the frozen database the shop on PostgreSQL. Each number is judged, the table printed, and one that is
//! missed fails the command. The programs run before others of the machine where the system allows that.

mod asked;
mod freeze;
mod hang;
mod logins;
mod peers;
mod sheet;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::ServiceProcess;
use tokio::time::{Instant, sleep};

use self::asked::{Asked, Load};
use self::peers::Programs;
use self::sheet::Sheet;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long ten times the capacity is asked for.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these parts of all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How long each of the six spans of the logins is.
    #[arg(long, default_value_t = 20)]
    login_seconds: u64,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Overload,
    Priority,
    Hang,
    Freeze,
    Logins,
}

/// Of the capacity, what is asked for in quiet times.
const QUIET: f64 = 0.1;
/// Of the capacity, what is asked for after the overload.
const AFTER: f64 = 0.6;
/// How much more than the capacity is asked for.
const TIMES: f64 = 10.0;
/// Background load for each critical request.
const BACKGROUND_TIMES: f64 = 12.0;
const PROBE_EVERY: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = Programs::build(options.wants(Part::Freeze) || options.wants(Part::Logins))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut sheet = Sheet::default();
    let done = runtime.block_on(all(&programs, options, &mut sheet));
    // What was seen until something failed was seen.
    sheet.print();
    done?;
    ensure!(sheet.holds(), "a number is missed");
    Ok(())
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

async fn all(programs: &Programs, options: &Options, sheet: &mut Sheet) -> Result<()> {
    let parts = [Part::Overload, Part::Priority, Part::Hang];
    if parts.into_iter().any(|part| options.wants(part)) {
        let served = programs.serve().await?;
        let capacity = capacity(programs, &served.stub_url).await?;
        println!("the stub answers {capacity:.0} a second");
        if options.wants(Part::Overload) {
            overload(sheet, programs, &served, capacity, options.seconds).await?;
        }
        if options.wants(Part::Priority) {
            priority(sheet, programs, &served, capacity).await?;
        }
        if options.wants(Part::Hang) {
            hang::judge(sheet, programs, &served, capacity).await?;
        }
    }
    if options.wants(Part::Freeze) {
        freeze::judge(sheet, programs).await?;
    }
    if options.wants(Part::Logins) {
        logins::judge(sheet, programs, options.login_seconds).await?;
    }
    Ok(())
}

/// What the stub answers a second when all its slots are busy; its timers are those of this machine.
async fn capacity(programs: &Programs, stub: &str) -> Result<f64> {
    let seconds = 6;
    let load = Load::new(stub, seconds as f64)
        .closed(40)
        .load("/take", 1.0);
    let asked = programs.ask(&load).await?.remove(0);
    // Whole seconds: the first one has the connecting, and behind the last one come those that were on their way.
    let whole = asked.ok_by_second.get(1..seconds);
    let whole = whole.context("the stub stopped answering")?;
    Ok(whole.iter().sum::<u64>() as f64 / whole.len() as f64)
}

/// Ten times the capacity, and the time after it.
async fn overload(
    sheet: &mut Sheet,
    programs: &Programs,
    served: &peers::Served,
    capacity: f64,
    seconds: u64,
) -> Result<()> {
    let url = &served.url;
    let quiet = Load::new(url, 20.0).load("/work", capacity * QUIET);
    let quiet = programs.ask(&quiet).await?.remove(0);
    println!("quiet: {quiet}");

    let load = Load::new(url, seconds as f64).load("/work", capacity * TIMES);
    let began = Instant::now();
    let (asked, memory) = tokio::join!(
        programs.ask(&load),
        memory_of(&served.service, Duration::from_secs(seconds))
    );
    let asked = asked?.remove(0);
    // The load waits for what is on its way before it ends: so long nobody looked.
    let unseen = (began.elapsed().as_secs_f64() - seconds as f64).max(0.0);
    let after = Load::new(url, 10.0).load("/work", capacity * AFTER);
    let after = programs.ask(&after).await?.remove(0);
    println!("10 times the capacity: {asked}");
    println!("after it: {after}");

    let goodput = asked.ok as f64 / seconds as f64 / capacity;
    sheet.at_least("C9 goodput, share of the capacity", 0.95, goodput);
    let slower = asked.ok_ms.p99 / quiet.ok_ms.p99;
    sheet.at_most("C9 p99 of the admitted, times the quiet one", 2.0, slower);
    sheet.at_most("C9 p99 of a refusal, ms", 5.0, asked.shed_ms.p99);
    sheet.at_most("C9 refusals without Retry-After", 0.0, asked.untold as f64);
    let other = (asked.late + asked.failed) as f64;
    sheet.at_most("C9 neither answered nor refused", 0.0, other);
    sheet.at_most("C9 memory, last quarter times second", 1.1, grown(&memory));
    sheet.at_most("C9 recovered after, s", 5.0, unseen + recovered(&after));
    Ok(())
}

/// Resident memory, in MiB, twice a second.
async fn memory_of(service: &ServiceProcess, span: Duration) -> Vec<f64> {
    let (mut seen, end) = (Vec::new(), Instant::now() + span);
    while Instant::now() < end {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid()));
        let kib = status.ok().and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        });
        seen.extend(kib.map(|kib| kib / 1024.0));
        sleep(Duration::from_millis(500)).await;
    }
    seen
}

fn grown(memory: &[f64]) -> f64 {
    let quarter = memory.len() / 4;
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (second, last) = (
        most(&memory[quarter..2 * quarter]),
        most(&memory[3 * quarter..]),
    );
    println!("memory: {second:.1} MiB in the second quarter, {last:.1} MiB in the last");
    last / second
}

/// Seconds until all that is asked is answered, to the end. What was sent in a second is looked for, whenever it was
/// answered: a pause of the machine moves answers into the next second, and loses none.
fn recovered(after: &Asked) -> f64 {
    let seconds = after.sent_by_second.iter().zip(&after.kept_by_second);
    let is_bad = |(sent, ok): (&u64, &u64)| (*ok as f64) < 0.97 * *sent as f64;
    seconds
        .map(is_bad)
        .rposition(|bad| bad)
        .map_or(0.0, |last| last as f64 + 1.0)
}

/// Normal critical traffic beside twelve times as much that can wait.
async fn priority(
    sheet: &mut Sheet,
    programs: &Programs,
    served: &peers::Served,
    capacity: f64,
) -> Result<()> {
    let (seconds, critical) = (30.0, capacity / 2.0);
    let load = Load::new(&served.url, seconds)
        .load("/vital", critical)
        .load("/some-day", critical * BACKGROUND_TIMES);
    let open = [
        format!("{}/health", served.url),
        format!("{}/ready", served.url),
        format!("{}/metrics", served.admin_url),
    ];
    let (asked, unanswered) = tokio::join!(
        programs.ask(&load),
        unanswered(&open, Duration::from_secs_f64(seconds))
    );
    let asked = asked?;
    println!("critical: {}", asked[0]);
    println!("background: {}", asked[1]);
    let through = asked[0].ok as f64 / asked[0].sent as f64;
    sheet.at_least(
        "C10 critical answered beside 12 times background",
        0.994,
        through,
    );
    sheet.at_most("C10 health and admin unanswered", 0.0, unanswered as f64);
    Ok(())
}

/// How often one of these is not answered with 200 within a second.
async fn unanswered(urls: &[String], span: Duration) -> u32 {
    let (mut unanswered, end) = (0, Instant::now() + span);
    while Instant::now() < end {
        for url in urls {
            let status = asked::status(url, Duration::from_secs(1)).await;
            unanswered += u32::from(status != Some(200));
        }
        sleep(PROBE_EVERY).await;
    }
    unanswered
}
