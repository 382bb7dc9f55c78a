//! What a newcomer meets: the first start, the pages everybody finds, the command line, the settings.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::json;
use stanchion_testing::process::{Launch, ServiceProcess, free_port};

use crate::support::{READY_WITHIN, STOPPED_WITHIN, Shop, eventually, item};

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn on_a_server_the_banner_and_the_log_say_how_many_connections_there_can_be() {
    let Some(shop) = Shop::start_on_postgres().await else {
        return;
    };
    let banner = whole_banner(&shop.process).await;
    let log = shop.process.stderr();
    let bound = "at most 25 connections to 127.0.0.1:";
    let printed = format!("{banner}{log}");
    assert_eq!(printed.matches(bound).count(), 2, "{printed}");
    let what = "(20 pooled for 4 modules, 4 log writers, 1 listener)";
    assert!(printed.contains(what), "{printed}");
    let metrics = eventually("the gauges are there", READY_WITHIN, || async {
        let metrics = shop.fetch_admin("/metrics").send().await.text;
        let there = |line: &&str| line.starts_with("stanchion_db_server_connections_max{");
        let line = metrics.lines().find(there).map(str::to_owned);
        line.filter(|line| line.ends_with(" 25"))
    })
    .await;
    assert!(!metrics.contains('@'), "no user in it: {metrics}");
}

#[tokio::test]
async fn the_first_start_tells_the_way_in_and_its_curl_line_works() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let launch = Launch::new(env!("CARGO_BIN_EXE_shop"))
        .folder(folder.path())
        .env("SHOP__SERVER__LISTEN", &address)
        .env(
            "SHOP__ADMIN__LISTEN",
            format!("127.0.0.1:{}", free_port().unwrap()),
        )
        .ready_when(format!("http://{address}/ready"));
    let mut process = launch.start(READY_WITHIN).await.unwrap();
    let banner = whole_banner(&process).await + &process.stderr();
    for part in [
        address.as_str(),
        "admin",
        "sqlite",
        "orders",
        "/docs",
        "curl ",
    ] {
        assert!(banner.contains(part), "no {part:?} in\n{banner}");
    }
    let curl = curl_line(&banner);
    let answer = Command::new("sh").args(["-c", &curl]).output().unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    assert!(
        answer.status.success() && text.contains("\"data\""),
        "{curl}\n{text}"
    );

    // The generated password is told once, at the first start, and the second start keeps everything.
    assert!(
        process.terminate(STOPPED_WITHIN).await.unwrap().success(),
        "{}",
        process.stderr()
    );
    let again = launch.start(READY_WITHIN).await.unwrap();
    let second = format!("{}{}", again.stdout(), again.stderr());
    assert!(!second.to_lowercase().contains("password:"), "{second}");
}

#[tokio::test]
async fn a_ready_shop_says_what_it_checked() {
    let shop = Shop::start().await;
    shop.fetch("/health").send().await.expect(200);
    // A check that a busy machine did not end in time is made anew.
    let ready = eventually("it is ready", READY_WITHIN, || async {
        let ready = shop.fetch("/ready").send().await.expect(200).json();
        (ready["status"] == "ready").then_some(ready)
    })
    .await;
    assert_eq!(ready["checks"]["database"]["status"], "healthy", "{ready}");
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_the_usual_armour() {
    let shop = Shop::start().await;
    let kept = shop
        .anyone()
        .get("/products")
        .header("x-request-id", "my-id.1")
        .send()
        .await
        .expect(200);
    assert_eq!(kept.header("x-request-id"), Some("my-id.1"));
    assert_eq!(kept.meta()["request_id"], "my-id.1");
    let made = shop
        .anyone()
        .get("/products")
        .header("x-request-id", "no good")
        .send()
        .await;
    assert_ne!(made.header("x-request-id"), Some("no good"));
    for (name, part) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("referrer-policy", ""),
    ] {
        let value = kept.header(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(value.contains(part), "{name}: {value}");
    }
    // Access lines are gathered for a moment.
    eventually("the request id in the log", ANSWERS_WITHIN, || async {
        let logged = format!("{}{}", shop.process.stdout(), shop.process.stderr());
        logged.contains("my-id.1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_error_comes_as_rfc_9457_to_whoever_asks_for_that() {
    let shop = Shop::start().await;
    let ask = shop
        .anyone()
        .get("/products/NOTHING")
        .header("accept", "application/problem+json");
    let problem = ask.send().await.expect(404);
    assert_eq!(
        problem.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(problem.json()["code"], "PRODUCT_NOT_FOUND");
    assert_eq!(problem.json()["status"], 404);
}

#[tokio::test]
async fn large_answers_are_compressed_when_asked() {
    let shop = Shop::start().await;
    for encoding in ["gzip", "br", "zstd"] {
        let answer = shop
            .anyone()
            .get("/products")
            .header("accept-encoding", encoding)
            .open()
            .await;
        assert_eq!(answer.headers()["content-encoding"], encoding);
    }
    let small = shop
        .anyone()
        .get("/products/KETTLE")
        .header("accept-encoding", "gzip")
        .open()
        .await;
    assert!(small.headers().get("content-encoding").is_none());
}

#[tokio::test]
async fn the_metrics_count_requests_by_route() {
    let shop = Shop::start().await;
    shop.anyone()
        .get("/products/KETTLE")
        .send()
        .await
        .expect(200);
    let metrics = shop.fetch_admin("/metrics").send().await.expect(200).text;
    let line = metrics.lines().find(|line| {
        line.starts_with("http_requests_total{") && line.contains("/api/v1/products/{sku}")
    });
    let line = line.unwrap_or_else(|| panic!("{metrics}"));
    assert!(
        line.contains("method=\"GET\"") && line.contains("status=\"200\""),
        "{line}"
    );
    assert!(metrics.contains("http_request_duration_seconds"));
    assert!(
        !metrics.contains("products/KETTLE"),
        "a label must not hold a path"
    );
}

#[tokio::test]
async fn a_shop_without_demo_products_starts_empty() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let launch = Launch::new(env!("CARGO_BIN_EXE_shop"))
        .folder(folder.path())
        .arg("--no-demo")
        .env("SHOP__SERVER__LISTEN", &address)
        .env(
            "SHOP__ADMIN__LISTEN",
            format!("127.0.0.1:{}", free_port().unwrap()),
        )
        .ready_when(format!("http://{address}/ready"));
    let _process = launch.start(READY_WITHIN).await.unwrap();
    let url = format!("http://{address}/api/v1/products");
    let list = Command::new("curl").args(["-s", &url]).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["data"], json!([]));
}

#[test]
fn wrong_settings_stop_the_start_with_all_of_them_named() {
    let output = shop(
        &[],
        &[
            ("SHOP__SERVER__LISTEN", "nowhere"),
            ("SHOP__SERVER__LISTNE", "127.0.0.1:1"),
            ("SHOP__SERVER__DRAIN", "soon"),
        ],
    );
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for name in [
        "SHOP__SERVER__LISTEN",
        "SHOP__SERVER__LISTNE",
        "SHOP__SERVER__DRAIN",
    ] {
        assert!(said.contains(name), "no {name} in\n{said}");
    }
    let unknown = shop(&[], &[("SHOP__BROKER__URL", "pigeon://coop")]);
    assert_eq!(unknown.status.code(), Some(2), "{}", self::said(&unknown));
    assert!(self::said(&unknown).contains("SHOP__BROKER__URL"));
}

#[test]
fn production_refuses_what_is_only_good_for_a_first_look() {
    let output = shop(&[], &[("SHOP__ENVIRONMENT", "prod")]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["sandbox", "admin_password", "master_key"] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
}

#[test]
fn an_open_admin_port_needs_a_token() {
    let output = shop(&[], &[("SHOP__ADMIN__LISTEN", "0.0.0.0:0")]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("token"), "{}", said(&output));
}

#[test]
fn the_command_line_shows_settings_and_routes_without_a_server() {
    let config = shop(
        &["config"],
        &[("SHOP__IDENTITY__ADMIN_PASSWORD", "hunter2hunter2")],
    );
    assert!(config.status.success(), "{}", said(&config));
    assert!(!said(&config).contains("hunter2") && said(&config).contains("***"));
    let routes = shop(&["routes"], &[]);
    assert!(routes.status.success(), "{}", said(&routes));
    for part in ["/api/v1/orders", "POST", "user:read"] {
        assert!(
            said(&routes).contains(part),
            "no {part} in\n{}",
            said(&routes)
        );
    }
    assert_eq!(shop(&["no-such-command"], &[]).status.code(), Some(2));
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let shop = Shop::start().await;
    let second = Launch::new(env!("CARGO_BIN_EXE_shop"))
        .folder(shop.folder())
        .env(
            "SHOP__SERVER__LISTEN",
            format!("127.0.0.1:{}", free_port().unwrap()),
        )
        .env(
            "SHOP__ADMIN__LISTEN",
            format!("127.0.0.1:{}", free_port().unwrap()),
        );
    let mut second = second.spawn().unwrap();
    let end = second.wait(ANSWERS_WITHIN).await.unwrap();
    let said = format!("{}{}", second.stdout(), second.stderr());
    assert!(matches!(end.code(), Some(1 | 2)), "{end} {said}");
    assert!(said.contains("another process"), "{said}");
    shop.customer("ada").await.order(&item("MUG-BLUE", 1)).await;
}

fn shop(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg(env!("CARGO_BIN_EXE_shop"))
        .args(arguments)
        .current_dir(folder.path());
    command
        .env_remove("SHOP__ENVIRONMENT")
        .envs(settings.iter().copied())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}")
}

/// What it prints at its start, to the last word: it serves before it has said all.
async fn whole_banner(process: &ServiceProcess) -> String {
    eventually("its last word", READY_WITHIN, || async {
        let banner = process.stdout();
        banner.contains("stop it").then_some(banner)
    })
    .await
}

/// The banner's curl line, joined over its continuation lines.
fn curl_line(banner: &str) -> String {
    let start = banner.find("curl ").unwrap();
    let mut line = String::new();
    for part in banner[start..].lines() {
        let (text, goes_on) = part
            .trim()
            .strip_suffix('\\')
            .map_or((part.trim(), false), |t| (t, true));
        line.push_str(text);
        if !goes_on {
            break;
        }
    }
    line
}
