//! Doing what the schedule says.

use std::{process::Child, time::Duration};

use anyhow::Result;
use stanchion_testing::{
    process::{ServiceProcess, Signal},
    proxy::Cut,
};
use tokio::time::{Instant, sleep};

use super::{
    cast::{Actor, Cast, FOLLOWERS},
    schedule::Fault,
    sheet::Sheet,
    stage::Stage,
};

/// How long a cut waits for its commit before somebody is cut anywhere.
const CUT_WAITS: Duration = Duration::from_millis(800);
const CUT_POLL: Duration = Duration::from_millis(5);

/// How long the replica that never comes may be waited for beyond its time.
const GHOST_WAITS: Duration = Duration::from_secs(30);

/// What goes on beside further faults.
#[derive(Default)]
pub(super) struct Hurt {
    beside: Vec<(Instant, ServiceProcess)>,
    transactions: Vec<Child>,
}

impl Hurt {
    /// Does it, and undoes it where it is one that ends.
    pub(super) async fn apply(
        &mut self,
        fault: Fault,
        stage: &mut Stage,
        cast: &mut Cast,
        sheet: &mut Sheet,
    ) -> Result<()> {
        self.tidy()?;
        sheet.done(fault);
        match fault {
            Fault::KillWriter { who } => one(&mut cast.writers, who).kill(false, sheet),
            Fault::KillFollower { who } => one(&mut cast.followers, who).kill(false, sheet),
            Fault::PauseWriter { who, ms } => pause(one(&mut cast.writers, who), ms).await,
            Fault::PauseFollower { who, ms } => pause(one(&mut cast.followers, who), ms).await,
            Fault::Twin { who, ms } => {
                let follower = one(&mut cast.followers, who);
                let twin = follower.another()?;
                self.beside
                    .push((Instant::now() + Duration::from_millis(2 * ms), twin));
                pause(follower, ms).await
            }
            Fault::Rebuild => {
                let rebuilt = &mut cast.followers[FOLLOWERS.len() - 1];
                rebuilt.kill(true, sheet)
            }
            Fault::Hoard { ms } => self.hoard(stage, ms),
            Fault::LongTransaction { ms, elsewhere } => self.transaction(stage, ms, elsewhere),
            Fault::TerminateBackend { .. }
            | Fault::KillBackend { .. }
            | Fault::PauseBackend { .. }
            | Fault::CrashServer { .. }
            | Fault::GhostReplica { .. } => server(fault, stage, sheet).await,
            _ => network(fault, stage).await,
        }
    }

    /// Everything works again, and stays so.
    pub(super) async fn heal(
        &mut self,
        stage: &mut Stage,
        cast: &mut Cast,
        sheet: &mut Sheet,
    ) -> Result<()> {
        self.beside.clear();
        for mut transaction in self.transactions.drain(..) {
            // It has ended already, or ends now.
            let _ended = (transaction.kill(), transaction.wait());
        }
        sleep(CUT_WAITS).await;
        cast.look_after(sheet)?;
        // Forgets a cut that found no commit.
        stage.proxy().cut(Cut::Turn(0), b"no client ever says this");
        answers(stage, sheet).await
    }

    fn hoard(&mut self, stage: &Stage, ms: u64) -> Result<()> {
        let hoard = stage
            .load()
            .arg("hoard")
            .arg(stage.url())
            .arg("--count=70")
            .spawn()?;
        let until = Instant::now() + Duration::from_millis(ms);
        self.beside.push((until, hoard));
        Ok(())
    }

    fn transaction(&mut self, stage: &Stage, ms: u64, elsewhere: bool) -> Result<()> {
        let sql = format!(
            "begin; insert into unrelated values (1); select pg_sleep({}); commit",
            Duration::from_millis(ms).as_secs_f64()
        );
        let mut transaction = stage.sql_beside(elsewhere, &sql)?;
        // Nobody reads what it says; the server may be gone before it ends.
        drop((transaction.stdout.take(), transaction.stderr.take()));
        self.transactions.push(transaction);
        Ok(())
    }

    fn tidy(&mut self) -> Result<()> {
        let now = Instant::now();
        self.beside.retain(|(until, _)| *until > now);
        for transaction in &mut self.transactions {
            transaction.try_wait()?;
        }
        Ok(())
    }
}

async fn pause(actor: &mut Actor, ms: u64) -> Result<()> {
    actor.process.signal(Signal::Stop)?;
    sleep(Duration::from_millis(ms)).await;
    actor.process.signal(Signal::Continue)
}

async fn server(fault: Fault, stage: &mut Stage, sheet: &mut Sheet) -> Result<()> {
    match fault {
        Fault::CrashServer { ms } => {
            stage.server().crash()?;
            sleep(Duration::from_millis(ms)).await;
            let began = Instant::now();
            stage.server().start()?;
            sheet.recovered(began.elapsed());
            return Ok(());
        }
        Fault::GhostReplica { ms } => return ghost(stage, ms).await,
        _ => {}
    }
    // A server that takes no connection now (nobody's left, or it recovers) is hurt enough.
    let Ok(backends) = stage.backends() else {
        return Ok(());
    };
    let (Fault::TerminateBackend { who }
    | Fault::KillBackend { who }
    | Fault::PauseBackend { who, .. }) = fault
    else {
        return Ok(());
    };
    let Some(&backend) = backends.get(who % backends.len().max(1)) else {
        return Ok(());
    };
    match fault {
        Fault::KillBackend { .. } => {
            stage.server().signal("KILL", backend)?;
            answers(stage, sheet).await
        }
        Fault::PauseBackend { ms, .. } => {
            stage.server().signal("STOP", backend)?;
            sleep(Duration::from_millis(ms)).await;
            stage.server().signal("CONT", backend)
        }
        _ => {
            let _ended = stage.sql(&format!("select pg_terminate_backend({backend})"));
            Ok(())
        }
    }
}

/// Commits are durable here and wait for a replica that never comes; then their connections are ended. They stay
/// committed, and their writers cannot know.
///
/// One session does it all: a second one might find no connection left, and with the replica still waited for nobody
/// would ever commit again.
async fn ghost(stage: &Stage, ms: u64) -> Result<()> {
    let while_it_is_waited_for = format!("select pg_sleep({})", ms as f64 / 1_000.0);
    let mut session = stage.session(&[
        "alter system set synchronous_standby_names = 'ghost'",
        "select pg_reload_conf()",
        &while_it_is_waited_for,
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
        "alter system reset synchronous_standby_names",
        "select pg_reload_conf()",
    ])?;
    let patience = Instant::now() + Duration::from_millis(ms) + GHOST_WAITS;
    let ended = loop {
        match session.try_wait()? {
            Some(ended) => break ended,
            None if Instant::now() > patience => {
                session.kill()?;
                break session.wait()?;
            }
            None => sleep(CUT_POLL).await,
        }
    };
    // No connection was left to begin with, or it was cut off on the way.
    if ended.success() || !stage.waits_for_a_ghost()? {
        return Ok(());
    }
    let began = Instant::now();
    loop {
        let gone = stage.sql("alter system reset synchronous_standby_names");
        match gone.and_then(|_| stage.sql("select pg_reload_conf()")) {
            Ok(_) => return Ok(()),
            Err(error) if began.elapsed() > GHOST_WAITS => {
                return Err(error.context("the replica that never comes is still waited for"));
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn network(fault: Fault, stage: &Stage) -> Result<()> {
    let proxy = stage.proxy();
    let wait = |ms: u64| sleep(Duration::from_millis(ms));
    match fault {
        Fault::CutCommit { bytes } => cut(stage, Cut::Tail(bytes)).await,
        Fault::CutReply { bytes } => cut(stage, Cut::Reply(bytes)).await,
        Fault::CutAnywhere { bytes } => proxy.cut(Cut::Turn(bytes), b""),
        Fault::Sever => proxy.sever(),
        Fault::Stall { ms } => {
            proxy.stall(true);
            wait(ms).await;
            proxy.stall(false);
        }
        Fault::Refuse { ms } => {
            proxy.refuse(true);
            proxy.sever();
            wait(ms).await;
            proxy.refuse(false);
        }
        Fault::Delay { ms } => {
            proxy.delay(Duration::from_millis(ms));
            wait(20 * ms).await;
            proxy.delay(Duration::ZERO);
        }
        _ => {}
    }
    Ok(())
}

/// At a commit, if one comes by in time.
async fn cut(stage: &Stage, cut: Cut) {
    let proxy = stage.proxy();
    proxy.cut(cut, b"commit");
    let armed = Instant::now();
    while proxy.armed() {
        if armed.elapsed() > CUT_WAITS {
            return proxy.cut(cut, b"");
        }
        sleep(CUT_POLL).await;
    }
}

/// Waits until the server answers; how long that took is a recovery.
async fn answers(stage: &Stage, sheet: &mut Sheet) -> Result<()> {
    let began = Instant::now();
    loop {
        match stage.sql("select 1") {
            Ok(_) => break,
            Err(error) if began.elapsed() > Duration::from_secs(60) => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    sheet.recovered(began.elapsed());
    Ok(())
}

fn one(actors: &mut [Actor], who: usize) -> &mut Actor {
    let count = actors.len();
    &mut actors[who % count]
}
