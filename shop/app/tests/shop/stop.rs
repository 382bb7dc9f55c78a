//! Stopping is a protocol: nobody who was let in is left without an answer.

mod load;

use std::time::Duration;

use stanchion_testing::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::support::{Shop, eventually, item, raw};
use load::{Load, Protocol};

const LOADED_FOR: Duration = Duration::from_millis(800);
/// So many answers are a load; a busy machine takes longer for them.
const ANSWERED: u64 = 100;
const LOADED_WITHIN: Duration = Duration::from_secs(20);

/// The protocol with shorter waits: what it promises does not depend on them.
const SHORT: [(&str, &str); 4] = [
    ("SHOP__SERVER__LAME_DUCK", "1s"),
    ("SHOP__SERVER__IDLE_GRACE", "500ms"),
    ("SHOP__SERVER__DRAIN", "5s"),
    ("SHOP__SERVER__STOP", "10s"),
];

/// `SIGTERM`'s number.
const SIGTERM: u32 = 15;

/// The stop's 10 seconds and some for a busy machine.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn under_load_over_http_1_every_request_on_an_accepted_connection_is_answered() {
    stops_under(Protocol::Http1).await;
}

#[tokio::test]
async fn under_load_over_http_2_every_request_on_an_accepted_connection_is_answered() {
    stops_under(Protocol::Http2).await;
}

async fn stops_under(protocol: Protocol) {
    let mut shop = Shop::start_with(&SHORT).await;
    let ada = shop.customer("ada").await;
    let load = Load::begin(&shop.address, &ada.token, protocol);
    sleep(LOADED_FOR).await;
    eventually("there is a load", LOADED_WITHIN, || async {
        (load.answered() > ANSWERED).then_some(())
    })
    .await;
    let begun = Instant::now();
    shop.process.signal(Signal::Terminate).unwrap();
    let status = shop.process.wait(STOPPED_WITHIN).await.unwrap();
    let took = begun.elapsed();
    let outcome = load.end().await;
    assert_eq!(status.code(), Some(0), "{}", shop.process.stdout());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(
        outcome.failures,
        Vec::<String>::new(),
        "{} were answered",
        outcome.answered
    );
    assert!(outcome.told_to_go > 0, "nobody was told to go");
}

#[tokio::test]
async fn a_stopping_shop_says_so_and_still_serves() {
    // Long enough for two questions on a busy machine.
    let lame_duck = Duration::from_secs(4);
    let settings = [
        ("SHOP__SERVER__LAME_DUCK", "4s"),
        SHORT[1],
        SHORT[2],
        SHORT[3],
    ];
    let mut shop = Shop::start_with(&settings).await;
    shop.process.signal(Signal::Terminate).unwrap();
    eventually("not ready", lame_duck, || async {
        let ready = shop.fetch("/ready").try_send().await.ok()?;
        (ready.status == 503).then_some(())
    })
    .await;
    let served = shop.anyone().get("/products").send().await.expect(200);
    assert_eq!(served.header("connection"), Some("close"));
    assert!(shop.process.wait(STOPPED_WITHIN).await.unwrap().success());
}

#[tokio::test]
async fn whoever_waits_is_answered_as_things_stand() {
    let (_gateway, silent) = silent_gateway().await;
    let silent = silent.iter().map(|(name, value)| (*name, value.as_str()));
    // The readiness check of the gateway takes its whole time.
    let check = ("SHOP__SERVER__CHECK_TIMEOUT", "200ms");
    let settings: Vec<_> = SHORT.into_iter().chain(silent).chain([check]).collect();
    let mut shop = Shop::start_with(&settings).await;
    let ada = shop.customer("ada").await;
    let id = ada.place(&item("MUG-BLUE", 1)).await.text_at("/id");
    let watch = ada.get(&format!("/orders/{id}/watch")).open().await;
    let waiting = {
        let ada = ada.clone();
        async move {
            ada.post("/orders")
                .key("k")
                .wait(30)
                .json(&item("MUG-BLUE", 1))
                .send()
                .await
        }
    };
    let stop = async {
        sleep(Duration::from_millis(500)).await;
        shop.process.terminate(STOPPED_WITHIN).await.unwrap()
    };
    let (answer, status, events) = tokio::join!(waiting, stop, watch.text());
    assert_eq!(answer.expect(202).text_at("/status"), "pending");
    assert!(events.is_ok(), "the stream is cut, not closed: {events:?}");
    assert_eq!(status.code(), Some(0), "{}", shop.process.stdout());
}

#[tokio::test]
async fn a_stuck_request_is_cut_at_the_deadline_named_in_the_log_and_told_by_the_exit_code() {
    let settings = [SHORT[0], SHORT[1], ("SHOP__SERVER__DRAIN", "1s"), SHORT[3]];
    let mut shop = Shop::start_with(&settings).await;
    let _stuck = half_a_request(&shop).await;
    let begun = Instant::now();
    let status = shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let (took, said) = (
        begun.elapsed(),
        shop.process.stdout() + &shop.process.stderr(),
    );
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        took >= Duration::from_secs(2),
        "it had 1 s of lame duck and 1 s to drain: {took:?}"
    );
    assert!(took < Duration::from_secs(8), "{took:?}");
    let named = said
        .lines()
        .any(|line| line.contains("/api/v1/users") && line.contains("stuck-1"));
    assert!(named, "{said}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let settings = [
        SHORT[0],
        SHORT[1],
        ("SHOP__SERVER__DRAIN", "25s"),
        ("SHOP__SERVER__STOP", "30s"),
    ];
    let mut shop = Shop::start_with(&settings).await;
    let _stuck = half_a_request(&shop).await;
    shop.process.signal(Signal::Terminate).unwrap();
    // Two signals that come before it looks are one. It refuses connections once its lame duck is over.
    eventually("it has heard the first", STOPPED_WITHIN, || async {
        let ready = shop.fetch("/ready").try_send().await;
        let serves = ready.is_ok_and(|ready| ready.status == 200);
        (!serves).then_some(())
    })
    .await;
    assert!(
        shop.process.exited().unwrap().is_none(),
        "{}",
        shop.process.stdout()
    );
    let begun = Instant::now();
    shop.process.signal(Signal::Terminate).unwrap();
    let status = shop.process.wait(STOPPED_WITHIN).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(status.code(), Some(1));
    shop.restart().await;
    shop.customer("ada").await.order(&item("MUG-BLUE", 1)).await;
}

#[tokio::test]
async fn a_signal_during_the_start_is_clean_whenever_it_comes() {
    let listening = [0, 10, 30, 60, 100, 200, 400].map(Some);
    for after in [None].into_iter().chain(listening) {
        let (mut shop, _) = Shop::spawn_with(&SHORT).unwrap();
        if let Some(after) = after {
            let pid = shop.process.pid();
            eventually("it listens to signals", STOPPED_WITHIN, || async {
                listens(pid).then_some(())
            })
            .await;
            sleep(Duration::from_millis(after)).await;
        }
        shop.process.signal(Signal::Terminate).unwrap();
        let status = shop.process.wait(STOPPED_WITHIN).await.unwrap();
        // Before the first line of main nobody listens to signals yet: ended by the signal, with nothing begun.
        let clean = status.code() == Some(0) || after.is_none();
        let said = shop.process.stdout() + &shop.process.stderr();
        assert!(
            clean && !said.contains("panicked"),
            "{after:?} ms after it listened: {status}\n{said}"
        );
        shop.restart().await;
        shop.customer("ada").await.order(&item("MUG-BLUE", 1)).await;
    }
}

#[tokio::test]
async fn ctrl_c_stops_like_a_termination() {
    let mut shop = Shop::start_with(&SHORT).await;
    shop.process.signal(Signal::Interrupt).unwrap();
    assert_eq!(
        shop.process.wait(STOPPED_WITHIN).await.unwrap().code(),
        Some(0)
    );
}

/// Whether a process has taken it upon itself to hear of `SIGTERM`, as the kernel says.
fn listens(pid: u32) -> bool {
    let Ok(said) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        // No such kernel.
        return true;
    };
    let caught = said.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals are counted from one.
    caught.is_some_and(|mask| mask & (1 << (SIGTERM - 1)) != 0)
}

/// A request whose second half never comes.
async fn half_a_request(shop: &Shop) -> TcpStream {
    let mut stream = TcpStream::connect(&shop.address).await.unwrap();
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: shop\r\nx-request-id: stuck-1\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"email\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Long enough to be in the handler's hands; an answer now would be a refusal.
    let early = raw::read_all(&mut stream, Duration::from_millis(300)).await;
    assert_eq!(early, "");
    stream
}

/// A gateway that takes every call and answers none, with the settings that lead to it.
async fn silent_gateway() -> (TcpListener, [(&'static str, String); 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = [
        ("SHOP__PAYMENTS__GATEWAY_URL", url),
        ("SHOP__PAYMENTS__GATEWAY_KEY", "sk_test_silence".to_owned()),
    ];
    (listener, settings)
}
