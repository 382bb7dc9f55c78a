//! One budget for all, whoever asks, from wherever, by whatever clock.

use std::path::Path;
use std::process::{Command, Output};

use stanchion_runtime::task;
use stanchion_testing::servers::{self, Redis};

use super::support::{open, passed, settings};

/// Where Debian's package faketime has what gives a process another clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

const BURST: u32 = 200;

/// Spends from the limit until it is refused: what the other processes of these tests do.
#[tokio::test]
#[ignore = "started by other tests, as a process of its own"]
async fn spender() {
    let Ok(url) = std::env::var("SPENDER_REDIS") else {
        return;
    };
    let passed = passed(&open(&settings(&url, BURST)), "ann", BURST).await;
    println!("passed={passed};");
}

/// A process of this very binary that spends; `clock` is what faketime makes of the time there.
fn spend(url: &str, clock: Option<&str>) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test runs from a file"));
    command
        .args([
            "rate::processes::spender",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("SPENDER_REDIS", url);
    if let Some(clock) = clock {
        command
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME", clock)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    command
}

fn told(output: std::io::Result<Output>) -> u32 {
    let output = output.expect("the process ran");
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text
        .split("passed=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    told.and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_one_budget_exactly() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let spenders: Vec<_> = (0..3)
        .map(|_| {
            let mut spender = spend(&redis.url(), None);
            task::blocking("spender", move || told(spender.output()))
        })
        .collect();
    let own = open(&settings(&redis.url(), BURST));
    let mut all = passed(&own, "ann", BURST).await;
    for spender in spenders {
        all += spender.await.unwrap();
    }
    assert_eq!(all, BURST, "of {} that asked", 4 * BURST);
    assert_eq!(
        passed(&own, "bob", BURST + 1).await,
        BURST,
        "another key is another budget"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_clock_is_wrong_gets_neither_more_nor_less() {
    let Some(redis) = Redis::required() else {
        return;
    };
    if !Path::new(FAKETIME).exists() {
        return servers::skip("faketime");
    }
    let mut all = 0;
    for clock in ["+1h", "-1h", "+10y"] {
        let mut spender = spend(&redis.url(), Some(clock));
        let spent = task::blocking("spender", move || told(spender.output()))
            .await
            .unwrap();
        all += spent;
        assert_eq!(
            all, BURST,
            "the first took all, those after it nothing: {clock}"
        );
    }
    assert_eq!(
        passed(&open(&settings(&redis.url(), BURST)), "ann", BURST).await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_over_two_connections_get_what_there_is() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let limits = [(); 2].map(|()| open(&settings(&redis.url(), 50)));
    let calls: Vec<_> = (0..400)
        .map(|call| {
            let limit = limits[call % 2].clone();
            task::spawn("call", async move { limit.check("ann", 1).await.is_ok() })
        })
        .collect();
    let mut all = 0;
    for call in calls {
        all += u32::from(call.await.unwrap());
    }
    assert_eq!(all, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_no_longer_than_it_says_something() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let mut settings = settings(&redis.url(), 10);
    // A second earns a hundred calls: ten are paid off in 100 ms.
    settings.limit.per_second = 100.0;
    let limit = open(&settings);
    for key in 0..50 {
        limit.check(&key.to_string(), 10).await.unwrap();
    }
    let left = redis.command("PTTL stanchion:rate:test:49").unwrap();
    let left: i64 = left
        .lines()
        .next()
        .unwrap()
        .trim_start_matches(':')
        .parse()
        .unwrap();
    assert!(left <= 101, "{left} ms");
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let keys = redis.command("KEYS *").unwrap();
    assert!(keys.starts_with("*0"), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_key_takes_no_more_memory_than_a_short_one() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let limit = open(&settings(&redis.url(), 3));
    let (long, other) = ("x".repeat(100_000), format!("{}y", "x".repeat(99_999)));
    assert_eq!(passed(&limit, &long, 5).await, 3);
    assert_eq!(passed(&limit, &other, 5).await, 3, "another key");
    let keys = redis.command("KEYS *").unwrap();
    assert!(keys.len() < 400, "{keys}");
}
