//! Somebody with a process, and with another one after it was killed.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Result;
use stanchion_testing::process::{Launch, ServiceProcess};

use super::super::sheet::Sheet;

/// Lines of a process's last words that are shown.
const LAST_WORDS: usize = 12;

/// What somebody is there for.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) launch: Launch,
    /// With a journal for each life.
    pub(super) writes: bool,
    pub(super) folder: PathBuf,
    pub(super) seed: u64,
}

pub(in crate::chaos::log) struct Actor {
    part: Part,
    life: u64,
    pub(in crate::chaos::log) process: ServiceProcess,
}

impl Part {
    fn launch(&self, life: u64, rebuild: bool) -> Launch {
        // Another life must not draw the same dice, nor reuse the names of its streams.
        let seed = self.seed % 1_000_000 * 1_000 + life;
        let mut launch = self.launch.clone().arg(format!("--seed={seed}"));
        if self.writes {
            let journal = |life: u64| {
                let name = format!("{}-{life}.jsonl", self.name);
                self.folder.join("journals").join(name)
            };
            launch = launch.arg(format!("--journal={}", journal(life).display()));
            // A life that ended before the store was open left none.
            if let Some(earlier) = life
                .checked_sub(1)
                .map(journal)
                .filter(|path| path.exists())
            {
                launch = launch.arg(format!("--earlier={}", earlier.display()));
            }
        }
        if rebuild {
            launch = launch.arg("--rebuild");
        }
        launch
    }
}

impl Actor {
    pub(super) fn enter(part: Part) -> Result<Self> {
        let process = part.launch(0, false).spawn()?;
        Ok(Self {
            part,
            life: 0,
            process,
        })
    }

    /// `kill -9`, and a new life.
    pub(in crate::chaos::log) fn kill(&mut self, rebuild: bool, sheet: &mut Sheet) -> Result<()> {
        self.process.kill()?;
        self.bury(sheet)?;
        self.live_again(rebuild)
    }

    /// The same once more, beside the first.
    pub(in crate::chaos::log) fn another(&self) -> Result<ServiceProcess> {
        self.part.launch(self.life, false).spawn()
    }

    /// Nobody ends unless made to.
    pub(super) fn must_live(&mut self, sheet: &mut Sheet) -> Result<()> {
        if let Some(status) = self.process.exited()? {
            let (name, words) = (self.part.name, self.last_words());
            sheet.complain(format!("{name} ended by itself: {status}\n{words}"));
            self.bury(sheet)?;
            self.live_again(false)?;
        }
        Ok(())
    }

    /// Waits until it has gone in good order.
    pub(super) async fn left(&mut self, deadline: Duration, sheet: &mut Sheet) -> Result<()> {
        let name = self.part.name;
        match self.process.wait(deadline).await {
            Ok(status) if status.success() => {}
            Ok(status) => {
                sheet.complain(format!("{name} left with {status}\n{}", self.last_words()))
            }
            Err(_) => sheet.complain(format!("{name} does not leave\n{}", self.last_words())),
        }
        self.bury(sheet)
    }

    pub(super) fn lives(&self) -> u64 {
        self.life + 1
    }

    fn live_again(&mut self, rebuild: bool) -> Result<()> {
        self.life += 1;
        self.process = self.part.launch(self.life, rebuild).spawn()?;
        Ok(())
    }

    /// What it said stays after it; a panic is never in order.
    fn bury(&self, sheet: &mut Sheet) -> Result<()> {
        let said = self.process.stderr();
        let name = self.part.name;
        if let Some(panic) = said.lines().find(|line| line.contains("panicked")) {
            sheet.complain(format!("{name} panicked: {panic}"));
        }
        let file = format!("{name}-{}.stderr", self.life);
        Ok(fs::write(self.part.folder.join(file), said)?)
    }

    fn last_words(&self) -> String {
        let said = self.process.stderr();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}
