//! Writers and followers, each in a process of its own, with a life after each death.

mod actor;

use std::time::Duration;

use anyhow::{Context, Result};
use stanchion_testing::process::Signal;
use tokio::time::{Instant, sleep};

pub(super) use actor::Actor;

use super::{sheet::Sheet, stage::Stage};
use crate::chaos::log_programs::LogPrograms;
use actor::Part;

pub(super) const FOLLOWERS: [&str; 4] = ["each", "fold", "hot", "rebuilt"];

/// Name, whether through the proxy, and how many append, execute commands, commit units of work, on how many
/// connections: the second has far fewer than it could use.
const WRITERS: [(&str, bool, [u32; 4]); 3] = [
    ("ann", true, [6, 2, 2, 8]),
    ("ben", true, [4, 2, 8, 3]),
    ("col", false, [4, 4, 3, 8]),
];

/// Longest time from the last fault until a writer has settled, or followers have caught up.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Cast {
    pub(super) writers: Vec<Actor>,
    pub(super) followers: Vec<Actor>,
}

impl Cast {
    pub(super) fn enter(programs: &LogPrograms, stage: &Stage, seed: u64) -> Result<Self> {
        let writer = |&(name, through_proxy, numbers): &(&'static str, bool, [u32; 4])| {
            let url = if through_proxy {
                stage.url_through_proxy()
            } else {
                stage.url()
            };
            let mut launch = programs.load().arg("run").arg(url);
            launch = launch.arg(format!("--name={name}"));
            let options = ["appenders", "counters", "works", "connections"];
            for (option, number) in options.iter().zip(numbers) {
                launch = launch.arg(format!("--{option}={number}"));
            }
            Actor::enter(Part {
                name,
                launch,
                writes: true,
                folder: stage.folder().to_owned(),
                seed,
            })
        };
        let follower = |(number, name): (usize, &'static str)| {
            let url = if number % 2 == 0 {
                stage.url()
            } else {
                stage.url_through_proxy()
            };
            let launch = programs.load().arg("run").arg(url);
            let launch = launch.arg(format!("--name={name}"));
            Actor::enter(Part {
                name,
                launch: launch.arg(format!("--followers={name}")),
                writes: false,
                folder: stage.folder().to_owned(),
                seed,
            })
        };
        Ok(Self {
            writers: WRITERS.iter().map(writer).collect::<Result<_>>()?,
            followers: FOLLOWERS
                .into_iter()
                .enumerate()
                .map(follower)
                .collect::<Result<_>>()?,
        })
    }

    /// Nobody ends unless made to.
    pub(super) fn look_after(&mut self, sheet: &mut Sheet) -> Result<()> {
        for actor in self.writers.iter_mut().chain(&mut self.followers) {
            actor.must_live(sheet)?;
        }
        Ok(())
    }

    /// Writers settle what they have begun, followers come to the log's end, everybody ends in good order.
    pub(super) async fn leave(&mut self, stage: &Stage, sheet: &mut Sheet) -> Result<()> {
        let began = Instant::now();
        for writer in &mut self.writers {
            writer.process.signal(Signal::Terminate)?;
        }
        for writer in &mut self.writers {
            writer.left(SETTLED_WITHIN, sheet).await?;
        }
        caught_up(stage, sheet).await?;
        sheet.settled = began.elapsed();
        for follower in &mut self.followers {
            follower.process.signal(Signal::Terminate)?;
            follower.left(SETTLED_WITHIN, sheet).await?;
        }
        let all = self.writers.iter().chain(&self.followers);
        sheet.lives = all.map(Actor::lives).sum();
        Ok(())
    }
}

/// Whoever does not come to the end in time is the auditor's to name.
async fn caught_up(stage: &Stage, sheet: &mut Sheet) -> Result<()> {
    let began = Instant::now();
    let behind = "select count(*) from chaos.checkpoint where name like 'projection/%' and \
                  position = (select max(position) from chaos.event)";
    while began.elapsed() < SETTLED_WITHIN {
        let there: usize = stage.sql(behind)?.parse().context("a count")?;
        if there >= FOLLOWERS.len() {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
    sheet.complain(format!(
        "not all followers caught up within {SETTLED_WITHIN:?}"
    ));
    Ok(())
}
