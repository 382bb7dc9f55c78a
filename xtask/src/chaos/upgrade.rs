//! `cargo xtask chaos upgrade`: from one release to the next and back, process after process, and no customer notices.
//!
//! The next release is this tree with the shop's feature `next`: a contract and an event of another version, and a
//! migration. The one before it is the last one that has a tag, built in a worktree, or another revision with `--from`; this
//! tree without the feature where there is no tag, or with `--here`. Orders' worker is
//! replaced first, so that the old inventory is asked in a version that it does not know: it puts that aside, and its
//! successor takes it up. On the way back who asks in the new version goes first, and nothing is put aside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use shop_cluster::CONTEXTS;
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use super::split::{self, Load, Split};
use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The older release: a tag or another revision, built in a worktree (minutes). Unless given it is the last tag before
    /// this commit.
    #[arg(long, value_name = "REVISION")]
    from: Option<String>,
    /// The older release is this tree without the feature `next`: nothing is built twice.
    #[arg(long, conflicts_with = "from")]
    here: bool,
    /// With the binaries of the run before: nothing is built.
    #[arg(long)]
    again: bool,
    /// Customers who order at the same time.
    #[arg(long, default_value_t = 4)]
    customers: u32,
    /// Where chance begins; a new one each time unless given.
    #[arg(long)]
    seed: Option<u64>,
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// Load before, between and after.
const STEADY: Duration = Duration::from_secs(4);
/// A process that is ready is seen by the front, before the next one is asked to stop.
const SEEN: Duration = Duration::from_millis(1_500);
/// Until the old inventory has put aside what it does not know, and until the new one has dealt with it.
const PARKED_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
/// Who serves, a context: one of them serves while the other is replaced.
const APIS: usize = 2;

/// The order in which processes are replaced: who asks in a version of its own first, who is asked next.
const FIRST: [&str; 2] = ["orders-worker", "inventory-worker"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = workspace::target().join("chaos/upgrade");
    fs::create_dir_all(&folder)?;
    let (now, next) = (folder.join("shop-now"), folder.join("shop-next"));
    let from = older(options)?;
    let programs = if options.again {
        Programs::built()?
    } else {
        let built = workspace::programs_with(&["shop"], false, &["shop/next"])?;
        fs::copy(built.join("shop"), &next)?;
        let programs = Programs::build(false)?;
        let older = match &from {
            Some(revision) => build_in(&worktree(&folder, revision)?)?,
            None => programs.binary("shop"),
        };
        // Another build would take its place.
        fs::copy(older, &now)?;
        programs
    };
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!(
        "chaos upgrade: from {} to the feature `next` and back, seed {seed}",
        from.as_deref().unwrap_or("this tree")
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let load = Load {
        customers: options.customers,
        seed,
        pause_ms_max: split::PAUSE_MS_MAX,
    };
    runtime.block_on(there_and_back(&programs, &folder, &now, &next, &load))
}

async fn there_and_back(
    programs: &Programs,
    folder: &Path,
    now: &Path,
    next: &Path,
    load: &Load,
) -> Result<()> {
    let folder = folder.join("run");
    let stage = split::stage(&folder, now.to_owned())?;
    let mut shop = Split::start(programs, stage, &folder, APIS, None, load).await?;
    sleep(STEADY).await;
    shop.cluster.migrate(next).await?;

    let began = Instant::now();
    replace(&mut shop, FIRST[0], next).await?;
    let aside = unknown(&shop).await?;
    replace(&mut shop, FIRST[1], next).await?;
    let taken_up = shop.calm_of_unknown().await?;
    println!(
        "the old inventory put {aside} messages aside; its successor had dealt with them after {taken_up:.1?}"
    );
    for name in rest() {
        replace(&mut shop, &name, next).await?;
    }
    println!("there within {:.1?}", began.elapsed());
    sleep(STEADY).await;
    looks_right(&shop)?;

    let began = Instant::now();
    replace(&mut shop, FIRST[0], now).await?;
    shop.lag_below_load().await?;
    replace(&mut shop, FIRST[1], now).await?;
    for name in rest() {
        replace(&mut shop, &name, now).await?;
        let parked = shop.parked().await;
        ensure!(parked.unknown == 0, "put aside by mistake: {parked:?}");
    }
    println!("and back within {:.1?}", began.elapsed());
    sleep(STEADY).await;
    shop.end(programs).await
}

/// One process stops in good order, and another release takes its place.
async fn replace(shop: &mut Split, name: &str, binary: &Path) -> Result<()> {
    let service = shop.cluster.service(name)?;
    service.terminate()?;
    service.stopped(STOPPED_WITHIN).await?;
    service.becomes(binary);
    service.spawn()?;
    service.ready(READY_WITHIN).await?;
    sleep(SEEN).await;
    Ok(())
}

/// Waits until something is put aside; how much.
async fn unknown(shop: &Split) -> Result<u64> {
    let began = Instant::now();
    loop {
        let parked = shop.parked().await;
        if parked.unknown > 0 {
            return Ok(parked.unknown);
        }
        ensure!(
            began.elapsed() < PARKED_WITHIN,
            "the old inventory puts nothing aside: is it asked in another version?"
        );
        sleep(POLL).await;
    }
}

impl Split {
    /// Waits until nothing is put aside for an upgrade any more; how long that took.
    async fn calm_of_unknown(&self) -> Result<Duration> {
        let began = Instant::now();
        while self.parked().await.unknown > 0 {
            ensure!(
                began.elapsed() < PARKED_WITHIN,
                "what was put aside is not taken up: {:?}",
                self.parked().await
            );
            sleep(POLL).await;
        }
        Ok(began.elapsed())
    }

    /// Waits until what was asked before is answered: then nobody is asked in the newer version any more.
    async fn lag_below_load(&self) -> Result<()> {
        let began = Instant::now();
        while self.lag().await > 50 {
            ensure!(began.elapsed() < PARKED_WITHIN, "the load is too great");
            sleep(POLL).await;
        }
        sleep(SEEN).await;
        Ok(())
    }
}

/// The next release has written what the older one does not know.
fn looks_right(shop: &Split) -> Result<()> {
    let events = "select count(*) from inventory.event where type = 'reservation_requested' and data::text like '%customer_id%'";
    let rows = "select count(*) from inventory.products where restocked_at is not null";
    let (events, rows) = (shop.stage.sql(events)?, shop.stage.sql(rows)?);
    println!("of the newer release: {events} events, {rows} rows with a column of the migration");
    ensure!(events != "0" && rows != "0", "it wrote nothing of its own");
    Ok(())
}

/// Everybody but the first, in the order of the contexts.
fn rest() -> Vec<String> {
    let all = CONTEXTS
        .iter()
        .flat_map(|context| ["worker", "api", "api-2"].map(|role| format!("{context}-{role}")));
    all.filter(|name| !FIRST.contains(&name.as_str())).collect()
}

/// The older release's revision; `None` for this tree.
fn older(options: &Options) -> Result<Option<String>> {
    if options.here || options.from.is_some() {
        return Ok(options.from.clone());
    }
    let tags = ["tag", "--list", "--merged", "HEAD", "--sort=-creatordate"];
    let listed = Command::new("git").args(tags).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let last = listed.lines().next().map(str::to_owned);
    if last.is_none() {
        println!(
            "chaos upgrade: no commit before this one has a tag; the older release is this tree"
        );
    }
    Ok(last)
}

/// The shop's binary of another tree, which knows only its own ways of building it.
fn build_in(tree: &Path) -> Result<PathBuf> {
    let target = tree.join("target");
    let mut command = workspace::cargo(&["build", "-p", "shop"]);
    command.arg("--manifest-path").arg(tree.join("Cargo.toml"));
    command.arg("--target-dir").arg(&target);
    ensure!(
        shell::aloud(&mut command)?,
        "{} does not compile",
        tree.display()
    );
    Ok(target.join("debug/shop"))
}

/// That revision, checked out beside this one; what was built there before is used again.
fn worktree(folder: &Path, revision: &str) -> Result<PathBuf> {
    let tree = folder.join("tree");
    let mut git = Command::new("git");
    if tree.exists() {
        git.arg("-C")
            .arg(&tree)
            // What a build changed there, such as its lock file, is nobody's.
            .args(["checkout", "--force", "--detach", revision]);
    } else {
        // With force: git still knows the one of a target folder that was deleted.
        git.args(["worktree", "add", "--force", "--detach"])
            .arg(&tree)
            .arg(revision);
    }
    shell::quiet(&mut git)?;
    Ok(tree)
}
