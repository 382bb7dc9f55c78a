//! The runs: a rate held, the highest one found, Redis killed in the middle, peers in turns.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Options;
use crate::bench::{
    cpu,
    log::MACHINE,
    turns::{self, Turn},
};
use crate::load::contestants::Contestant;
use crate::load::driver::{self, Event, Job, Setting};
use crate::load::page::{self, Hold, Page, Peer};
use crate::load::processes::{self, Used};
use crate::load::profile;
use crate::load::stores::Stores;
use crate::{shell, workspace};

/// What is held for seconds is held for minutes a little lower.
const STEADY: f64 = 0.92;
const STEADY_TRIES_MAX: u32 = 3;
/// Redis is killed at this share of the rate held.
const KILL_SHARE: f64 = 0.8;
/// With Redis gone, p99 may be so much.
const KILL_P99_MS: f64 = 50.0;
/// Redis is gone from here to there, as shares of the run.
const GONE: (f64, f64) = (0.35, 0.6);
/// How long the profile looks.
const PROFILE_SECONDS: f64 = 15.0;

/// One run or step, with what it cost.
struct Step {
    held: bool,
    report: Value,
    used: Used,
    /// The share of the machine that was used by nobody of ours.
    foreign: f64,
}

/// What is started once, and what is asked of it.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    pub(super) stores: Stores,
    pub(super) setting: Setting,
}

impl Session<'_> {
    /// What the figures belong to.
    pub(super) fn conditions(&self) -> Result<Vec<String>> {
        let machine = shell::quiet(Command::new("sh").args(["-c", MACHINE]))?;
        let options = self.options;
        let commit = shell::quiet(
            Command::new("git")
                .args(["rev-parse", "--short", "HEAD"])
                .current_dir(workspace::root()),
        );
        Ok(vec![
            machine.trim().to_owned(),
            format!(
                "{}; commit {}",
                self.stores.versions()?,
                commit.unwrap_or_default().trim()
            ),
            format!(
                "service, PostgreSQL, Redis and the load share the processors; {} arrivals, seed {}, {} connections, \
                 {} clients, {} sessions",
                if options.constant {
                    "constant"
                } else {
                    "Poisson"
                },
                options.seed,
                options.connections,
                options.clients,
                options.families,
            ),
            format!(
                "held means: p99 within {} ms from the intended start, no error",
                options.p99_ms
            ),
        ])
    }

    pub(super) fn measure_ours(&mut self, page: &mut Page) -> Result<()> {
        let (options, target) = (self.options, self.options.target);
        let wanted = self.hold(target, options.steady(options.rate))?;
        let mut held = wanted;
        if !held.met {
            eprintln!(
                "{:.0}/s is not held: looking for the highest rate that is",
                held.rate
            );
            page.not_held = Some(held.rate);
            let from = (held.achieved() * KILL_SHARE).min(options.rate);
            let found = self.find(target, from)?.context("no rate is held at all")?;
            let mut rate = found.rate * STEADY;
            for _ in 0..STEADY_TRIES_MAX {
                held = self.hold(target, options.steady(rate))?;
                if held.met {
                    break;
                }
                rate *= STEADY;
            }
        }
        let rate = held.rate;
        page.hold = Some(held);
        if options.profile {
            page.profile = self.profiled(target, rate)?;
        }
        if options.redis_kill {
            page.killed = Some(self.hold_without_redis(target, rate * KILL_SHARE)?);
        }
        Ok(())
    }

    /// A fixed rate for as long as was asked for.
    fn hold(&self, target: Contestant, job: Job) -> Result<Hold> {
        eprintln!(
            "{}: {:.0}/s for {:.0} s",
            target.name(),
            job.rate,
            job.seconds
        );
        let mut steps = self.measure(target, job, |_| Ok(()))?;
        let step = steps.pop().context("no report")?;
        Ok(hold(target, job, step))
    }

    fn hold_without_redis(&mut self, target: Contestant, rate: f64) -> Result<Hold> {
        let job = Job {
            p99_ms: KILL_P99_MS,
            ..self.options.steady(rate)
        };
        let (from, to) = (job.seconds * GONE.0, job.seconds * GONE.1);
        eprintln!(
            "{}: {rate:.0}/s, Redis gone from {from:.0} to {to:.0} s",
            target.name()
        );
        let (begun, waiting) = mpsc::channel();
        let session: &Self = self;
        let steps = thread::scope(|scope| {
            let hurting = scope.spawn(move || -> Result<()> {
                // A run that never begins hurts nobody.
                if waiting.recv().is_err() {
                    return Ok(());
                }
                thread::sleep(Duration::from_secs_f64(from));
                session.stores.kill_redis()?;
                thread::sleep(Duration::from_secs_f64(to - from));
                session.stores.restart_redis()
            });
            let steps = session.measure(target, job, move |_| Ok(begun.send(())?));
            let hurt = hurting
                .join()
                .map_err(|_| anyhow::anyhow!("the thread that kills Redis panicked"))?;
            hurt.and(steps)
        });
        let step = steps?.pop().context("no report")?;
        let mut held = hold(target, job, step);
        held.gone = Some((from, to));
        Ok(held)
    }

    /// The highest rate held for some seconds, looked for from `from` on.
    fn find(&self, target: Contestant, from: f64) -> Result<Option<Hold>> {
        let job = self.options.search(from);
        let steps = self.measure(target, job, |_| Ok(()))?;
        let rate = |step: &Step| step.report["offered_rate"].as_f64().unwrap_or_default();
        let held = steps.into_iter().filter(|step| step.held);
        let best = held.max_by(|one, other| rate(one).total_cmp(&rate(other)));
        Ok(best.map(|step| {
            hold(
                target,
                Job {
                    rate: rate(&step),
                    ..job
                },
                step,
            )
        }))
    }

    fn profiled(&self, target: Contestant, rate: f64) -> Result<Vec<String>> {
        let job = Job {
            seconds: PROFILE_SECONDS + 3.0,
            ..self.options.steady(rate)
        };
        let mut recording = None;
        self.measure(target, job, |process| {
            recording = profile::start(process, PROFILE_SECONDS);
            Ok(())
        })?;
        match recording {
            Some(recording) => recording.lines(),
            None => Ok(vec!["no perf on this machine".to_owned()]),
        }
    }

    /// Starts the service on empty stores, does the job, and looks at what it cost; `begun` gets the service's id.
    fn measure(
        &self,
        target: Contestant,
        job: Job,
        mut begun: impl FnMut(u32) -> Result<()>,
    ) -> Result<Vec<Step>> {
        cpu::wait_until_quiet()?;
        let running = target.start(&self.stores, self.setting.seed)?;
        let mut steps = Vec::new();
        let mut before = None;
        driver::run(target, &running, self.setting, job, |event| {
            match event {
                Event::Conforms | Event::Found => {}
                Event::Begun => {
                    before = Some((processes::used()?, cpu::Watch::of_descendants()?));
                    begun(running.id())?;
                }
                Event::Report { held, report } => steps.push(step(held, report, &mut before)?),
            }
            Ok(())
        })
        .with_context(|| target.about())?;
        Ok(steps)
    }

    /// Each peer's highest rate beside ours, in turns.
    pub(super) fn beside(&self, peers: &[Contestant]) -> Result<Vec<Peer>> {
        let ours = self.options.target;
        let plan = turns::round(peers.len());
        let mut pairs = vec![Vec::new(); peers.len()];
        let mut last = BTreeMap::new();
        let mut reports: Vec<Option<Hold>> = vec![None; peers.len() + 1];
        for round in 1..=self.options.rounds {
            let mut results = Vec::new();
            for turn in &plan {
                let (contestant, at) = match turn {
                    Turn::Ours => (ours, peers.len()),
                    Turn::Peer(peer) => (peers[*peer], *peer),
                };
                let from = last.get(&at).copied().unwrap_or_else(|| contestant.guess());
                let found = self.find(contestant, from).unwrap_or_else(|error| {
                    eprintln!("{}: {error:#}", contestant.about());
                    None
                });
                if let Some(found) = &found {
                    last.insert(at, found.rate * STEADY);
                    eprintln!("round {round}: {}", found.line());
                    reports[at] = Some(found.clone());
                }
                results.push(found.map(|found| (found.rate, found.service_us(), found.foreign)));
            }
            for (peer, pairs) in pairs.iter_mut().enumerate() {
                pairs.extend(turns::pair(&plan, &results, peer));
            }
        }
        let ours_last = reports.pop().flatten();
        let rows = peers.iter().zip(pairs).zip(reports);
        Ok(rows
            .map(|((peer, pairs), last)| Peer {
                about: peer.about(),
                name: peer.name(),
                pairs,
                last,
                ours_last: ours_last.clone(),
            })
            .collect())
    }
}

fn step(held: bool, report: Value, before: &mut Option<(Used, cpu::Watch)>) -> Result<Step> {
    let (used, watch) = before.take().context("a report without a beginning")?;
    let step = Step {
        held,
        report,
        used: processes::between(&used, &processes::used()?),
        foreign: watch.foreign()?,
    };
    eprintln!(
        "  {}{}",
        page::figures(&step.report),
        if held { "" } else { "  NOT HELD" }
    );
    Ok(step)
}

fn hold(target: Contestant, job: Job, step: Step) -> Hold {
    Hold {
        contestant: target,
        rate: job.rate,
        p99_ms: job.p99_ms,
        met: step.held,
        report: step.report,
        used: step.used,
        foreign: step.foreign,
        gone: None,
    }
}
