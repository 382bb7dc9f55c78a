//! The result, as text and as a page of the documentation with its pictures.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::contestants::{self, Contestant};
use super::processes::Used;
use crate::bench::{figures::Spread, markdown, turns::Pair};
use crate::shell;

/// From this share of the machine on, others disturbed a run.
const DISTURBED: f64 = 0.1;
/// Less than this share of the processor time is not told.
const SHARE_MIN: f64 = 0.005;

/// A rate, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) contestant: Contestant,
    pub(super) rate: f64,
    pub(super) p99_ms: f64,
    pub(super) met: bool,
    pub(super) report: Value,
    pub(super) used: Used,
    pub(super) foreign: f64,
    /// When Redis was gone, in seconds.
    pub(super) gone: Option<(f64, f64)>,
}

/// The highest rate held, processor time of the service and its stores for a request, the share of others.
type Found = (f64, f64, f64);

pub(super) struct Peer {
    pub(super) about: &'static str,
    pub(super) name: &'static str,
    pub(super) pairs: Vec<Pair<Found>>,
    pub(super) last: Option<Hold>,
    pub(super) ours_last: Option<Hold>,
}

/// Everything of a session.
#[derive(Default)]
pub(super) struct Page {
    pub(super) conditions: Vec<String>,
    /// What was wanted, if that was too much.
    pub(super) not_held: Option<f64>,
    pub(super) hold: Option<Hold>,
    pub(super) killed: Option<Hold>,
    pub(super) profile: Vec<String>,
    pub(super) peers: Vec<Peer>,
}

/// One line of a report.
pub(super) fn figures(report: &Value) -> String {
    let failures = match report["failures"].as_object() {
        Some(kinds) if !kinds.is_empty() => format!(" {}", report["failures"]),
        _ => String::new(),
    };
    format!(
        "offered {:.0}/s, achieved {:.0}/s, p50 {:.2} ms, p99 {:.2}, p99.9 {:.2}, max {:.1}, errors {}{failures}",
        report["offered_rate"].as_f64().unwrap_or_default(),
        report["achieved_rate"].as_f64().unwrap_or_default(),
        ms(report, "p50_us"),
        ms(report, "p99_us"),
        ms(report, "p999_us"),
        ms(report, "max_us"),
        report["errors"],
    )
}

fn ms(report: &Value, figure: &str) -> f64 {
    report["latency"][figure].as_f64().unwrap_or(f64::NAN) / 1_000.0
}

impl Hold {
    pub(super) fn achieved(&self) -> f64 {
        self.report["achieved_rate"].as_f64().unwrap_or_default()
    }

    /// Microseconds of processor time for a request, without the load's own.
    pub(super) fn service_us(&self) -> f64 {
        let requests = self.report["requests"].as_f64().unwrap_or(1.0).max(1.0);
        let of_service = self
            .used
            .iter()
            .filter(|(name, _)| name.as_str() != "auth-load");
        of_service.map(|(_, seconds)| seconds).sum::<f64>() * 1e6 / requests
    }

    pub(super) fn line(&self) -> String {
        let disturbed = if self.foreign > DISTURBED {
            ", DISTURBED"
        } else {
            ""
        };
        format!(
            "{}: {:.0}/s held, {:.0} us of processor each, others {:.0} %{disturbed}",
            self.contestant.name(),
            self.rate,
            self.service_us(),
            self.foreign * 100.0
        )
    }

    /// `shop 45 %, postgres 30 %, …` of both processors.
    fn split(&self) -> String {
        let all: f64 = self.used.values().sum();
        let mut parts: Vec<_> = self.used.iter().collect();
        parts.sort_by(|one, other| other.1.total_cmp(one.1));
        let told = parts
            .iter()
            .filter(|(_, seconds)| **seconds > all * SHARE_MIN);
        let told = told.map(|(name, seconds)| format!("{name} {:.0} %", *seconds / all * 100.0));
        told.collect::<Vec<_>>().join(", ")
    }

    fn table(&self) -> String {
        let mut table = format!(
            "| what | requests | errors | p50 ms | p90 | p99 | p99.9 | max |\n|---|--:|--:|--:|--:|--:|--:|--:|\n{}",
            row("all", &self.report)
        );
        for scenario in self.report["scenarios"].as_array().into_iter().flatten() {
            let name = scenario["name"].as_str().unwrap_or_default();
            table.push_str(&row(name, scenario));
        }
        table
    }

    fn verdict(&self) -> String {
        let seconds = self.report["seconds"].as_f64().unwrap_or_default();
        let word = if self.met { "held" } else { "**not held**" };
        let disturbed = if self.foreign > DISTURBED {
            format!(
                "; others used {:.0} % of the machine meanwhile",
                self.foreign * 100.0
            )
        } else {
            String::new()
        };
        format!(
            "**{:.0} requests/s** for {seconds:.0} s: {word} (p99 within {} ms, no error); achieved {:.0}/s{disturbed}.",
            self.rate,
            self.p99_ms,
            self.achieved()
        )
    }
}

fn row(name: &str, report: &Value) -> String {
    let [p50, p90, p99, p999, max] =
        ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(|figure| ms(report, figure));
    let (requests, errors) = (&report["requests"], &report["errors"]);
    format!(
        "| {name} | {requests} | {errors} | {p50:.2} | {p90:.2} | {p99:.2} | {p999:.2} | {max:.1} |\n"
    )
}

impl Peer {
    /// Median of ours, of theirs, of the ratios.
    fn medians(&self, figure: impl Fn(&Found) -> f64) -> Option<[f64; 3]> {
        let of = |value: &dyn Fn(&Pair<Found>) -> f64| {
            Spread::of(self.pairs.iter().map(value)).map(|spread| spread.median)
        };
        Some([
            of(&|pair| figure(&pair.ours))?,
            of(&|pair| figure(&pair.peer))?,
            of(&|pair| figure(&pair.ours) / figure(&pair.peer).max(f64::EPSILON))?,
        ])
    }

    fn row(&self) -> String {
        let rate = self.medians(|found| found.0);
        let cost = self.medians(|found| found.1);
        let (Some([ours, peer, ratio]), Some([our_us, peer_us, _])) = (rate, cost) else {
            return format!("| {} | not measured | | | | |\n", self.about);
        };
        let foreign = self
            .pairs
            .iter()
            .flat_map(|pair| [pair.ours.2, pair.peer.2]);
        let disturbed = foreign.fold(0.0, f64::max) > DISTURBED;
        let note = if disturbed { " (disturbed)" } else { "" };
        format!(
            "| {}{note} | {ours:.0} | {peer:.0} | **{ratio:.2}** | {our_us:.0} | {peer_us:.0} |\n",
            self.about
        )
    }
}

impl Page {
    pub(super) fn new(conditions: Vec<String>) -> Self {
        Self {
            conditions,
            ..Self::default()
        }
    }

    /// Whether what has to hold did.
    pub(super) fn is_good(&self) -> bool {
        let mut holds = self.hold.iter().chain(&self.killed);
        holds.all(|hold| hold.met)
    }

    pub(super) fn text(&self) -> String {
        let mut text: String = self
            .conditions
            .iter()
            .map(|line| format!("- {line}\n"))
            .collect();
        if let Some(rate) = self.not_held {
            text.push_str(&format!(
                "\n{rate:.0} requests/s were not held on this machine.\n"
            ));
        }
        if let Some(hold) = &self.hold {
            text.push_str(&format!(
                "\n### The highest rate\n\n{}\n\n{}\n{:.0} µs of processor time a request without the load; all of it: {}.\n",
                hold.verdict(),
                hold.table(),
                hold.service_us(),
                hold.split()
            ));
        }
        if let Some(killed) = &self.killed {
            let (from, to) = killed.gone.unwrap_or_default();
            text.push_str(&format!(
                "\n### Redis killed and restarted\n\nGone from second {from:.0} to {to:.0}, empty when it came back. {}\n\n{}",
                killed.verdict(),
                killed.table()
            ));
        }
        if !self.peers.is_empty() {
            text.push_str(
                "\n### Beside services in other languages\n\nThe highest rate held for some seconds, in turns; medians.\n\n\
                 | beside | ours /s | peer /s | ratio | ours µs | peer µs |\n|---|--:|--:|--:|--:|--:|\n",
            );
            text.extend(self.peers.iter().map(Peer::row));
        }
        if !self.profile.is_empty() {
            let lines = self.profile.join("\n");
            text.push_str(&format!(
                "\n### Where the service's time goes\n\n```text\n{lines}\n```\n"
            ));
        }
        text
    }
}

/// Writes the page and draws its pictures into `pictures` beside it.
pub(super) fn write(page: &Page, file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new(".")).join("pictures");
    fs::create_dir_all(&folder)?;
    let mut text = page.text();
    let mut picture = |name: &str, title: &str, arguments: Vec<String>, holds: &[(&str, &Hold)]| {
        let drawn = draw(&folder.join(name), title, &arguments, holds);
        text.push_str(&format!("\n![{title}](pictures/{name})\n"));
        drawn
    };
    if let Some(hold) = &page.hold {
        let title = format!("Latency at {:.0} requests/s", hold.rate);
        picture(
            "auth-latency.svg",
            &title,
            vec!["--percentiles".into()],
            &[("all", hold)],
        )?;
        let title = format!("{:.0} requests/s over time", hold.rate);
        picture(
            "auth-over-time.svg",
            &title,
            vec!["--over-time".into()],
            &[("all", hold)],
        )?;
    }
    if let Some(killed) = &page.killed {
        let (from, to) = killed.gone.unwrap_or_default();
        let arguments = vec![
            format!("--mark=Redis gone={from}-{to}"),
            "--over-time".into(),
        ];
        let title = format!("{:.0} requests/s, Redis killed and restarted", killed.rate);
        picture(
            "auth-redis-killed.svg",
            &title,
            arguments,
            &[("all", killed)],
        )?;
    }
    let ours = page.peers.iter().find_map(|peer| peer.ours_last.as_ref());
    let ours = ours.map(|hold| ("stanchion", hold));
    let peers = page
        .peers
        .iter()
        .filter_map(|peer| Some((peer.name, peer.last.as_ref()?)));
    let named: Vec<(String, &Hold)> = ours
        .into_iter()
        .chain(peers)
        .map(|(name, hold)| (format!("{name} {:.0}/s", hold.rate), hold))
        .collect();
    if named.len() > 1 {
        let named: Vec<_> = named
            .iter()
            .map(|(name, hold)| (name.as_str(), *hold))
            .collect();
        let title = "Latency at the highest rate that each holds";
        picture(
            "auth-peers.svg",
            title,
            vec!["--percentiles".into()],
            &named,
        )?;
    }
    markdown::replace(file, "auth", &text)
}

/// The last argument's value is the file.
fn draw(file: &Path, title: &str, arguments: &[String], holds: &[(&str, &Hold)]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let limit = holds.first().map_or(25.0, |(_, hold)| hold.p99_ms);
    let mut draw = Command::new(contestants::program("auth-load")?);
    draw.args(["draw", "--title", title, "--limit-ms", &limit.to_string()]);
    draw.args(arguments).arg(file);
    for (number, (name, hold)) in holds.iter().enumerate() {
        let report = folder.path().join(format!("{number}.json"));
        fs::write(&report, hold.report.to_string())?;
        draw.arg(format!("{name}={}", report.display()));
    }
    shell::quiet(&mut draw)
        .map(drop)
        .context("the picture was not drawn")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "offered_rate": 1000.0, "achieved_rate": 999.0, "seconds": 60.0, "requests": 60_000, "errors": 0,
            "failures": {}, "latency": {"p50_us": 900, "p90_us": 1500, "p99_us": 4_000, "p999_us": 9000, "max_us": 20_000},
            "scenarios": [],
        })
    }

    fn held(rate: f64) -> Hold {
        Hold {
            contestant: Contestant::Shop,
            rate,
            p99_ms: 25.0,
            met: true,
            report: report(),
            used: Used::from([("shop".into(), 3.0), ("auth-load".into(), 1.0)]),
            foreign: 0.02,
            gone: None,
        }
    }

    #[test]
    fn a_ratio_is_taken_within_its_pair() {
        let pair = |ours, peer| Pair {
            ours: (ours, 50.0, 0.0),
            peer: (peer, 200.0, 0.0),
        };
        let peer = Peer {
            about: "Go",
            name: "Go",
            pairs: vec![
                pair(8_000.0, 2_000.0),
                pair(6_000.0, 3_000.0),
                pair(9_000.0, 3_000.0),
            ],
            last: None,
            ours_last: None,
        };
        assert_eq!(peer.row(), "| Go | 8000 | 3000 | **3.00** | 50 | 200 |\n");
    }

    #[test]
    fn the_load_s_own_time_is_told_apart() {
        let hold = held(1_000.0);
        assert_eq!(hold.service_us(), 50.0);
        assert_eq!(hold.split(), "shop 75 %, auth-load 25 %");
    }

    #[test]
    fn a_page_says_what_was_wanted_and_not_held() {
        let page = Page {
            not_held: Some(10_000.0),
            hold: Some(held(7_000.0)),
            ..Page::new(vec!["a machine".into()])
        };
        let text = page.text();
        assert!(text.contains("10000 requests/s were not held"), "{text}");
        assert!(
            text.contains("**7000 requests/s** for 60 s: held"),
            "{text}"
        );
        assert!(page.is_good());
    }
}
