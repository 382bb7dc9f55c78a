//! Given, when, then.

use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

use super::*;

fn given(hosts: u32) -> (Outliers<u32>, Moment) {
    let outliers = Outliers::new(&OutlierSettings::default());
    outliers.set_hosts(0..hosts);
    (outliers, Moment::from_nanos(1_000_000_000))
}

fn fail(outliers: &Outliers<u32>, host: u32, now: Moment, times: u32) {
    (0..times).for_each(|_| outliers.record(&host, now, Verdict::Failure));
}

#[test]
fn five_failures_in_a_row_eject_a_host_and_a_success_begins_anew() {
    let (outliers, now) = given(10);
    fail(&outliers, 1, now, 4);
    outliers.record(&1, now, Verdict::Success);
    fail(&outliers, 1, now, 4);
    outliers.record(&1, now, Verdict::Ignored);
    assert!(!outliers.is_ejected(&1, now));
    fail(&outliers, 1, now, 1);
    assert!(outliers.is_ejected(&1, now));
}

#[test]
fn each_ejection_lasts_longer_and_is_forgiven_in_time() {
    let (outliers, mut now) = given(10);
    for times in 1..=3 {
        fail(&outliers, 1, now, 5);
        let span = Duration::from_secs(30) * times;
        assert!(outliers.is_ejected(&1, (now + span).before(Duration::from_millis(1))));
        now = now + span;
        assert!(!outliers.is_ejected(&1, now));
    }
    now = now + Duration::from_secs(60);
    outliers.record(&1, now, Verdict::Success);
    fail(&outliers, 1, now, 5);
    assert!(
        !outliers.is_ejected(&1, now + Duration::from_secs(30)),
        "as if for the first time"
    );
}

#[test]
fn at_most_a_tenth_is_out_and_never_the_better_half() {
    for (hosts, out) in [(1, 0), (2, 1), (5, 1), (10, 1), (20, 2), (100, 10)] {
        let (outliers, now) = given(hosts);
        (0..hosts).for_each(|host| fail(&outliers, host, now, 5));
        assert_eq!(outliers.ejected(now), out, "of {hosts}");
    }
}

#[test]
fn hosts_that_left_are_forgotten_and_those_that_stay_are_not() {
    let (outliers, now) = given(10);
    fail(&outliers, 1, now, 5);
    outliers.set_hosts(1..5);
    assert!(outliers.is_ejected(&1, now));
    outliers.set_hosts(2..5);
    outliers.set_hosts(1..5);
    assert!(!outliers.is_ejected(&1, now));
    fail(&outliers, 77, now, 5);
    assert!(!outliers.is_ejected(&77, now), "a stranger");
}

#[tokio::test(start_paused = true)]
async fn the_function_and_the_layer_share_the_hosts_and_spare_the_one_that_fails() {
    let hosts = Outliers::new(&OutlierSettings::default());
    hosts.set_hosts(["one", "other"]);
    let service = hosts.layer(|host: &&'static str| *host).layer(service_fn(
        |host: &'static str| async move { if host == "one" { Err("down") } else { Ok(host) } },
    ));
    for _ in 0..5 {
        let failed = service.clone().oneshot("one").await;
        assert_eq!(failed, Err(Failure::Remote("down")));
    }
    let refused = service.clone().oneshot("one").await.unwrap_err();
    let wait = refused.refusal().and_then(|refusal| refusal.retry_after());
    assert_eq!(wait, Some(Duration::from_secs(30)));
    assert!(hosts.call(&"one", async { Ok::<_, ()>(()) }).await.is_err());
    assert_eq!(service.clone().oneshot("other").await, Ok("other"));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(hosts.call(&"one", async { Ok::<_, ()>(()) }).await.is_ok());
}

proptest! {
    /// Whatever the hosts do, at most the share of them is out, the better half never, and all come back in time.
    #[test]
    fn never_too_many_are_out_and_all_come_back(
        calls in proptest::collection::vec((0..20_u32, 0..3_u8, 0..5_000_u64), 1..400),
        hosts in 1..20_u32,
    ) {
        let (outliers, mut now) = given(hosts);
        for (host, verdict, millis) in calls {
            now = now + Duration::from_millis(millis);
            let verdict = [Verdict::Success, Verdict::Failure, Verdict::Ignored][usize::from(verdict)];
            (0..5).for_each(|_| outliers.record(&host, now, verdict));
            let out = outliers.ejected(now);
            prop_assert!(out <= (hosts as usize / 10).max(1) && out * 2 <= hosts as usize, "{} of {}", out, hosts);
        }
        prop_assert_eq!(outliers.ejected(now + OutlierSettings::default().ejection_max), 0);
    }
}
