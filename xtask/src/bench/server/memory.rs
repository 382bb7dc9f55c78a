//! What the smallest service keeps in memory while nobody asks anything.

use std::{process::Command, thread, time::Duration};

use anyhow::Result;

use super::{
    super::{
        figures::{Comparison, Figure, Spread},
        kits::{self, Kit, Kits},
        report::Row,
    },
    process::Process,
};

pub(super) const CASE: &str = "hello-idle-memory";

/// What it promises to stay below, in megabytes.
const LIMIT: f64 = 10.0;
/// It listens on its usual port.
const ADDRESS: &str = "127.0.0.1:8080";
/// How long it idles before it is looked at.
const IDLE: Duration = Duration::from_secs(2);
const TIMES: usize = 3;

/// `examples/hello`, several times from its start.
pub(super) fn measure(kits: &mut Kits) -> Row {
    let all: Result<Vec<f64>, String> = kits.ensure(Kit::Hello).and_then(|()| {
        let one = |_| once().map_err(|error| format!("{error:#}"));
        (0..TIMES).map(one).collect()
    });
    let result = all.and_then(|all| {
        let spread = |values: Vec<f64>| Spread::of(values).ok_or_else(|| "no run".to_owned());
        Ok(Comparison {
            ratio: spread(all.iter().map(|ours| ours / LIMIT).collect())?,
            ours: spread(all)?,
            peer: spread(vec![LIMIT])?,
            rounds: TIMES,
            // Others' work does not change what it keeps.
            disturbed: false,
        })
    });
    Row {
        case: CASE.to_owned(),
        figure: Figure::Rate,
        peer: "the limit".to_owned(),
        order: "",
        unit: "MB",
        result,
    }
}

fn once() -> Result<f64> {
    let mut hello = Process::start(&mut Command::new(kits::built("hello", "hello")))?;
    hello.listens_on(ADDRESS)?;
    thread::sleep(IDLE);
    hello.resident_megabytes()
}
