//! How busy the machine is, and how much of that is ours, from /proc.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

use super::figures::DISTURBED;

/// How long the machine is looked at before a run.
const LOOK: Duration = Duration::from_millis(300);
/// How long a run waits for a quiet machine before it starts anyway.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Ticks of all processors since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    busy: u64,
    total: u64,
}

/// A stretch of time under observation.
pub(crate) struct Watch {
    machine: Ticks,
    ours: u64,
    whose: Whose,
}

/// What is ours beside this process and its ended children.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// A server with its living and ended children, if there is one.
    Server(Option<u32>),
    /// Everything that descends from this process.
    Descendants,
}

/// Waits until others leave the machine alone, or for the longest wait.
pub(crate) fn wait_until_quiet() -> Result<()> {
    let looks = WAIT_MAX.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        let before = machine()?;
        thread::sleep(LOOK);
        if share(before, machine()?, 0) < DISTURBED {
            break;
        }
    }
    Ok(())
}

impl Watch {
    /// From now on; what we, our ended children and the server with this process id use is ours.
    pub(super) fn start(server: Option<u32>) -> Result<Self> {
        Self::of(Whose::Server(server))
    }

    /// From now on; what descends from us is ours: several servers, each with processes of its own.
    pub(crate) fn of_descendants() -> Result<Self> {
        Self::of(Whose::Descendants)
    }

    fn of(whose: Whose) -> Result<Self> {
        Ok(Self {
            machine: machine()?,
            ours: used(whose)?,
            whose,
        })
    }

    /// The share of the machine that others used since then.
    pub(crate) fn foreign(&self) -> Result<f64> {
        let ours = used(self.whose)?.saturating_sub(self.ours);
        Ok(share(self.machine, machine()?, ours))
    }
}

fn share(before: Ticks, after: Ticks, ours: u64) -> f64 {
    let busy = after.busy.saturating_sub(before.busy);
    let total = after.total.saturating_sub(before.total).max(1);
    busy.saturating_sub(ours) as f64 / total as f64
}

fn machine() -> Result<Ticks> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    text.lines()
        .next()
        .and_then(ticks)
        .context("/proc/stat has another form")
}

/// Of the line `cpu user nice system idle iowait irq softirq steal …`.
fn ticks(line: &str) -> Option<Ticks> {
    let fields: Vec<u64> = line
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4)?;
    let total = fields.iter().sum();
    Some(Ticks {
        busy: total - idle,
        total,
    })
}

/// Ticks of ours: this process with its ended children, and what else is.
fn used(whose: Whose) -> Result<u64> {
    let own = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    let own = process(&own).context("/proc/self/stat has another form")?;
    let ticks = own.own + own.ended;
    Ok(ticks
        + match whose {
            Whose::Server(None) => 0,
            Whose::Server(Some(server)) => of_server(server, &living()?),
            Whose::Descendants => of_descendants(own.id, &living()?),
        })
}

fn living() -> Result<Vec<Process>> {
    let mut living = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while we look.
        let text = fs::read_to_string(entry?.path().join("stat"));
        living.extend(text.ok().as_deref().and_then(process));
    }
    Ok(living)
}

/// With its living and ended children.
fn of_server(server: u32, living: &[Process]) -> u64 {
    let own = living.iter().filter(|it| it.id == server);
    let children = living.iter().filter(|it| it.parent == server);
    own.map(|it| it.own + it.ended).sum::<u64>() + children.map(|it| it.own).sum::<u64>()
}

/// Without that process itself.
fn of_descendants(ancestor: u32, living: &[Process]) -> u64 {
    let (mut ticks, mut parents) = (0, vec![ancestor]);
    while let Some(parent) = parents.pop() {
        for child in living.iter().filter(|it| it.parent == parent) {
            ticks += child.own + child.ended;
            parents.push(child.id);
        }
    }
    ticks
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    parent: u32,
    own: u64,
    ended: u64,
}

/// Of /proc/PID/stat; the name in parentheses may contain anything.
fn process(stat: &str) -> Option<Process> {
    let id = stat.split_whitespace().next()?.parse().ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let tick = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        id,
        parent: fields.get(1)?.parse().ok()?,
        own: tick(11)? + tick(12)?,
        ended: tick(13)? + tick(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_neither_idles_nor_waits_is_busy() {
        let line = "cpu  100 20 30 800 50 1 2 7 0 0";
        let expected = Ticks {
            busy: 160,
            total: 1_010,
        };
        assert_eq!(ticks(line), Some(expected));
        assert_eq!(ticks("cpu0 1 2 3 4 5 6 7 8"), None);
    }

    #[test]
    fn the_share_of_others_leaves_ours_out() {
        let before = Ticks::default();
        let after = Ticks {
            busy: 80,
            total: 200,
        };
        assert_eq!(share(before, after, 0), 0.4);
        assert_eq!(share(before, after, 60), 0.1);
        assert_eq!(share(before, after, 90), 0.0);
    }

    #[test]
    fn a_server_s_children_and_a_process_descendants_are_ours() {
        let process = |id, parent| Process {
            id,
            parent,
            own: 10,
            ended: 1,
        };
        let living = [process(1, 0), process(2, 1), process(3, 2), process(4, 2)];
        assert_eq!(of_server(2, &living), 31);
        assert_eq!(of_descendants(1, &living), 33);
        assert_eq!(of_descendants(4, &living), 0);
    }

    #[test]
    fn a_process_is_read_even_if_its_name_has_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 0 0 0 0 0 11 5 300 40 20 0 1 0";
        let expected = Process {
            id: 42,
            parent: 7,
            own: 16,
            ended: 340,
        };
        assert_eq!(process(stat), Some(expected));
    }
}
