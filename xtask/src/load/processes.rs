//! Which programs used the processors, from /proc: everything that descends from us, by name.

use std::collections::BTreeMap;
use std::fs;
use std::process;

use anyhow::Result;

/// The kernel's unit of a process' times.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of processor time by the program's name.
pub(super) type Used = BTreeMap<String, f64>;

struct Process {
    id: u32,
    parent: u32,
    name: String,
    ticks: u64,
}

/// So far.
pub(super) fn used() -> Result<Used> {
    let mut living = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while we look.
        let text = fs::read_to_string(entry?.path().join("stat"));
        living.extend(text.ok().as_deref().and_then(parsed));
    }
    Ok(by_name(process::id(), &living))
}

/// What was used between two looks.
pub(super) fn between(before: &Used, after: &Used) -> Used {
    let rise = |(name, now): (&String, &f64)| {
        let rise = now - before.get(name).copied().unwrap_or(0.0);
        (name.clone(), rise.max(0.0))
    };
    after
        .iter()
        .map(rise)
        .filter(|(_, rise)| *rise > 0.0)
        .collect()
}

fn by_name(ancestor: u32, living: &[Process]) -> Used {
    let (mut used, mut parents) = (Used::new(), vec![ancestor]);
    while let Some(parent) = parents.pop() {
        for child in living.iter().filter(|it| it.parent == parent) {
            *used.entry(child.name.clone()).or_default() += child.ticks as f64 / TICKS_A_SECOND;
            parents.push(child.id);
        }
    }
    used
}

/// Of /proc/PID/stat; the name in parentheses may contain anything.
fn parsed(stat: &str) -> Option<Process> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (id, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let tick = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        id: id.trim().parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        // Its own, and that of its children that have ended.
        ticks: tick(11)? + tick(12)? + tick(13)? + tick(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_count_by_name_and_others_do_not() {
        let process = |id, parent, name: &str| Process {
            id,
            parent,
            name: name.to_owned(),
            ticks: 50,
        };
        let living = [
            process(2, 1, "sh"),
            process(3, 2, "postgres"),
            process(4, 3, "postgres"),
            process(9, 8, "postgres"),
        ];
        let used = by_name(1, &living);
        assert_eq!((used["postgres"], used["sh"]), (1.0, 0.5));
    }

    #[test]
    fn a_rise_is_what_came_after() {
        let at = |seconds| Used::from([("shop".to_owned(), seconds)]);
        assert_eq!(between(&at(1.5), &at(4.0))["shop"], 2.5);
        assert!(between(&at(1.5), &at(1.5)).is_empty());
    }

    #[test]
    fn a_process_is_read_even_if_its_name_has_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 0 0 0 0 0 11 5 300 40 20 0 1 0";
        let process = parsed(stat).unwrap();
        assert_eq!((process.id, process.parent), (42, 7));
        assert_eq!((process.name.as_str(), process.ticks), ("a (b) c", 356));
    }
}
