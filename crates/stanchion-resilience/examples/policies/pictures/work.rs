//! Single calls and jobs as bars: timeout, retry and deadline; single flight; pool; outliers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::outlier::{OutlierSettings, Outliers};
use stanchion_resilience::policy::{Attempt, EveryError, Policy, PolicySettings};
use stanchion_resilience::pool::{Pool, PoolSettings};
use stanchion_resilience::retry::Terms;
use stanchion_resilience::single_flight::SingleFlight;
use stanchion_resilience::{Dice, Moment};
use stanchion_telemetry::Metrics;
use tokio::time::{sleep, timeout};

use super::chart::{Band, Bar, Chart, Row};

const SEED: u64 = 7;

/// Runs `work` in time that only timers move.
fn in_paused_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime is made").block_on(work)
}

fn bar(from: f64, to: f64, class: &'static str, text: &'static str) -> Bar {
    Bar {
        from,
        to,
        class,
        text,
    }
}

/// Calls with a deadline of 1.5 s and a timeout of 400 ms an attempt, to a dependency that hangs, fails or answers.
pub(crate) fn deadline() -> Chart {
    let stories: [(&str, [f64; 3]); 3] = [
        ("quick", [0.1, 0.0, 0.0]),
        ("retried", [9.0, -0.05, 0.15]),
        ("given up", [9.0, 9.0, 9.0]),
    ];
    Chart {
        name: "deadline",
        title: "Timeout, retry and deadline: three calls, an attempt 600 ms at most, all within 1.5 s",
        seconds: 2.0,
        rows: stories
            .into_iter()
            .map(|(label, takes)| Row {
                label: label.to_owned(),
                bars: attempts(takes),
            })
            .collect(),
        marks: vec![(1.5, "deadline")],
        ..Chart::default()
    }
}

/// What one call did: an attempt takes so long, and fails when that is negative.
fn attempts(takes: [f64; 3]) -> Vec<Bar> {
    let mut settings = PolicySettings {
        timeout: Duration::from_millis(600),
        hedge_on: false,
        ..PolicySettings::default()
    };
    settings.retry.base = Duration::from_millis(150);
    in_paused_time(async {
        let policy = Policy::with("bank", &settings, &Metrics::default(), &Dice::seeded(SEED));
        let (begun, bars) = (Moment::now(), Mutex::new(Vec::new()));
        let since = || Moment::now().since(begun).as_secs_f64();
        let call = |attempt: Attempt| {
            let (began, takes) = (since(), takes[attempt.number as usize - 1]);
            let given = began + attempt.left.as_secs_f64();
            // Cut off here, unless it ends by itself below.
            bars.lock()
                .push(bar(began, given, "bad", "no answer in time"));
            let (bars, since) = (&bars, &since);
            async move {
                sleep(Duration::from_secs_f64(takes.abs())).await;
                let (class, text) = if takes > 0.0 {
                    ("good", "answer")
                } else {
                    ("wait", "")
                };
                if let Some(last) = bars.lock().last_mut() {
                    *last = bar(began, since(), class, text);
                }
                if takes > 0.0 { Ok(()) } else { Err("reset") }
            }
        };
        let terms = Terms::read().until(Deadline::after(begun, Duration::from_millis(1_500)));
        let _ = policy.call(terms, &EveryError, call).await;
        let mut bars = bars.into_inner();
        // Only the last one says what became of it.
        let last = bars.len() - 1;
        bars[..last].iter_mut().for_each(|bar| bar.text = "");
        bars
    })
}

/// Eight want the same within a quarter of a second; the load takes 300 ms, and the first one goes away.
pub(crate) fn single_flight() -> Chart {
    let rows = in_paused_time(async {
        let (flights, dice) = (SingleFlight::<&str, u32, ()>::default(), Dice::seeded(SEED));
        let (begun, loads) = (Moment::now(), Arc::new(Mutex::new(Vec::new())));
        let since = move || Moment::now().since(begun).as_secs_f64();
        let arrivals: Vec<f64> = (0..8)
            .map(|caller| f64::from(caller) * 0.08 + 0.02 * dice.share())
            .collect();
        let callers = arrivals.iter().enumerate().map(|(caller, arrival)| {
            let (flights, loads) = (&flights, &loads);
            async move {
                sleep(Duration::from_secs_f64(*arrival)).await;
                let load = || {
                    let (loads, began) = (loads.clone(), since());
                    async move {
                        sleep(Duration::from_millis(300)).await;
                        loads.lock().push(bar(began, since(), "a", ""));
                        Ok(42)
                    }
                };
                let (began, patience) = (
                    since(),
                    Duration::from_millis(if caller == 0 { 150 } else { 9_000 }),
                );
                let answer = timeout(patience, flights.call("tea", load)).await;
                let (class, text) = if answer.is_ok() {
                    ("good", "")
                } else {
                    ("wait", "went away")
                };
                Row {
                    label: format!("caller {}", caller + 1),
                    bars: vec![bar(began, since(), class, text)],
                }
            }
        });
        let mut rows = futures_util::future::join_all(callers).await;
        let bars = std::mem::take(&mut *loads.lock());
        rows.push(Row {
            label: "loads".to_owned(),
            bars,
        });
        rows
    });
    Chart {
        name: "single-flight",
        title: "Single flight: eight want the same, two calls are made; who goes away hands over",
        seconds: 1.0,
        rows,
        ..Chart::default()
    }
}

/// Three workers, room for four; a job a moment, and a graceful shutdown.
pub(crate) fn pool() -> Chart {
    let rows = in_paused_time(async {
        let settings = PoolSettings {
            workers: 3,
            queue: 4,
            job_timeout: Duration::from_millis(900),
        };
        let (pool, dice, begun) = (
            Pool::new("pool", &settings),
            Dice::seeded(SEED),
            Moment::now(),
        );
        let since = move || Moment::now().since(begun).as_secs_f64();
        let jobs = (0..14_u32).map(|number| {
            let (pool, takes) = (
                pool.clone(),
                if number == 4 {
                    9.0
                } else {
                    0.25 + 0.5 * dice.share()
                },
            );
            async move {
                sleep(Duration::from_millis(u64::from(number) * 110)).await;
                let (came, began) = (since(), Arc::new(Mutex::new(f64::MAX)));
                let start = began.clone();
                let job = pool.try_submit(async move {
                    *start.lock() = since();
                    sleep(Duration::from_secs_f64(takes)).await;
                });
                let bars = match job {
                    Err(refused) => vec![bar(
                        came,
                        came,
                        "bad",
                        if format!("{refused:?}") == "Full" {
                            "full"
                        } else {
                            "closed"
                        },
                    )],
                    Ok(job) => {
                        let ended = job.await;
                        let (class, text) = if ended.is_ok() {
                            ("good", "")
                        } else {
                            ("bad", "timed out")
                        };
                        let began = *began.lock();
                        vec![bar(came, began, "c", ""), bar(began, since(), class, text)]
                    }
                };
                Row {
                    label: format!("job {}", number + 1),
                    bars,
                }
            }
        });
        let stop = async {
            sleep(Duration::from_millis(1_250)).await;
            pool.shutdown().await;
        };
        let (rows, ()) = tokio::join!(futures_util::future::join_all(jobs), stop);
        rows
    });
    Chart {
        name: "pool",
        title: "Worker pool: three workers, room for four; waiting, running, and a graceful shutdown",
        seconds: 2.5,
        rows,
        marks: vec![(1.25, "shutdown")],
        ..Chart::default()
    }
}

/// Ten hosts get ten calls a second each; host 3 fails from 10 to 100 s, host 7 one call in three.
pub(crate) fn outlier() -> Chart {
    const END: f64 = 180.0;
    let begin = Moment::from_nanos(1_000_000_000_000);
    let hosts = Outliers::new(&OutlierSettings::default());
    hosts.set_hosts(0..10_u32);
    let dice = Dice::seeded(SEED);
    let mut bars: Vec<Vec<Bar>> = vec![Vec::new(); 10];
    for step in 0..(END * 10.0) as u32 {
        let seconds = f64::from(step) / 10.0;
        let now = begin + Duration::from_secs_f64(seconds);
        for host in 0..10 {
            let is_bad = match host {
                2 => (10.0..100.0).contains(&seconds),
                6 => dice.share() < 1.0 / 3.0,
                _ => false,
            };
            let is_out = hosts.admit(&host, now).is_err();
            if !is_out {
                hosts.record(
                    &host,
                    now,
                    if is_bad {
                        Verdict::Failure
                    } else {
                        Verdict::Success
                    },
                );
            }
            extend(
                &mut bars[host as usize],
                seconds,
                if is_out { "bad" } else { "good" },
            );
        }
    }
    let row = |(host, bars): (usize, Vec<Bar>)| Row {
        label: format!("host {}", host + 1),
        bars,
    };
    Chart {
        name: "outlier",
        title: "Outlier ejection: host 3 fails from 10 to 100 s, host 7 one call in three",
        seconds: END,
        rows: bars.into_iter().enumerate().map(row).collect(),
        bands: vec![Band {
            from: 10.0,
            to: 100.0,
            class: "bad",
            label: "",
        }],
        ..Chart::default()
    }
}

/// Makes the last bar longer, or begins another.
fn extend(bars: &mut Vec<Bar>, seconds: f64, class: &'static str) {
    match bars.last_mut() {
        Some(last) if last.class == class => last.to = seconds + 0.1,
        _ => bars.push(bar(seconds, seconds + 0.1, class, "")),
    }
}
