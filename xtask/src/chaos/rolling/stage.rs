//! Two instances, the database and the payment gateway that they share.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use stanchion_testing::{
    process::{Launch, ServiceProcess, free_port},
    servers::Cluster,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::chaos::programs::Programs;

const DATABASE: &str = "shop";
const GATEWAY_KEY: &str = "sk_test_rolling";
const WEBHOOK_SECRET: &str = "whsec_rolling";
/// An answer of the gateway takes this long: orders do not settle before a stop, and their clients wait.
const GATEWAY_KNOBS: &str = r#"{"latency_ms": 2500}"#;

const GATEWAY_WITHIN: Duration = Duration::from_secs(20);

/// What both instances are told. Twice a balancer's probe and more as lame duck; the rest is the default.
const SETTINGS: [(&str, &str); 10] = [
    ("SHOP__DATABASE__CONNECTIONS_MAX", "60"),
    ("SHOP__SERVER__LAME_DUCK", "2s"),
    (
        "SHOP__SERVER__SECRET",
        "a secret that every replica has: 32 bytes and more",
    ),
    ("SHOP__SERVER__TRUSTED_PROXIES", r#"["127.0.0.1"]"#),
    (
        "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
        "cm9sbGluZyByZXN0YXJ0cywga2V5IG9mIHRoZSBrZXk=",
    ),
    (
        "SHOP__PERSONAL__MASTER_KEY",
        "cm9sbGluZyByZXN0YXJ0cywga2V5IG9mIHBlcnNvbnM=",
    ),
    ("SHOP__AUTH__ACCESS_TOKEN_LIFE", "2h"),
    ("SHOP__AUTH__ISSUER", "http://shop"),
    ("SHOP__TELEMETRY__FORMAT", "json"),
    (
        "SHOP__TELEMETRY__LOG",
        "warn,stanchion_server::lifecycle=info",
    ),
];

/// Everything but clients and the proxy.
pub(super) struct Stage {
    pub(super) instances: [Instance; 2],
    _gateway: ServiceProcess,
    // Last: it ends when everybody has gone.
    _server: Cluster,
}

/// Sets the gateway's knobs, as soon as it is there.
async fn slow_down(gateway: &str) -> Result<()> {
    let began = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(gateway).await {
            Ok(stream) => break stream,
            Err(error) if began.elapsed() > GATEWAY_WITHIN => {
                return Err(error).context("the gateway did not start");
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    let length = GATEWAY_KNOBS.len();
    let request = format!(
        "POST /knobs HTTP/1.1\r\nhost: {gateway}\r\nauthorization: Bearer {GATEWAY_KEY}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{GATEWAY_KNOBS}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "the gateway: {answer}");
    Ok(())
}

/// One process of the shop.
pub(super) struct Instance {
    pub(super) address: String,
    launch: Launch,
    process: Option<ServiceProcess>,
}

impl Stage {
    /// Everything runs when this returns, but the instances.
    pub(super) async fn set(programs: &Programs, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder.join("server"))?;
        let mut server = Cluster::create(&folder.join("server"), &["max_connections=200"])?;
        server.start()?;
        server.sql("postgres", &format!("create database {DATABASE}"))?;
        let gateway = format!("127.0.0.1:{}", free_port()?);
        let common = |launch: Launch| {
            SETTINGS
                .iter()
                .fold(launch, |launch, (name, value)| launch.env(*name, *value))
                .env("SHOP__DATABASE__URL", server.url(DATABASE))
                .env("SHOP__DATABASE__MIGRATE", "auto")
                .env("SHOP__PAYMENTS__GATEWAY_URL", format!("http://{gateway}"))
                .env("SHOP__PAYMENTS__GATEWAY_KEY", GATEWAY_KEY)
                .env("SHOP__PAYMENTS__WEBHOOK_SECRET", WEBHOOK_SECRET)
        };
        let mut instances = Vec::new();
        for name in ["a", "b"] {
            let own = folder.join(name);
            fs::create_dir_all(&own)?;
            let (launch, url) = programs.shop(&own)?;
            instances.push(Instance {
                address: url.trim_start_matches("http://").to_owned(),
                launch: common(launch),
                process: None,
            });
        }
        let webhooks = format!("http://{}/api/v1/payments/webhook", instances[0].address);
        let launch = common(programs.command(folder, &["sandbox", "--listen", &gateway]));
        let process = launch
            .env("SHOP__PAYMENTS__WEBHOOK_URL", webhooks)
            .spawn()?;
        let Ok(instances) = instances.try_into() else {
            unreachable!("two names make two instances");
        };
        slow_down(&gateway).await?;
        Ok(Self {
            instances,
            _gateway: process,
            _server: server,
        })
    }

    /// Where both are.
    pub(super) fn addresses(&self) -> String {
        self.instances
            .each_ref()
            .map(|one| one.address.as_str())
            .join(",")
    }
}

impl Instance {
    /// Starts it and waits until it is ready.
    pub(super) async fn start(&mut self, within: Duration) -> Result<Duration> {
        let mut process = self.launch.spawn()?;
        let took = process.ready(within).await?;
        self.process = Some(process);
        Ok(took)
    }

    /// Ends it in good order: with exit code 0, and with nothing said that nobody wants to hear.
    pub(super) async fn stop(&mut self, within: Duration) -> Result<Duration> {
        let Some(mut process) = self.process.take() else {
            return Ok(Duration::ZERO);
        };
        let began = Instant::now();
        let status = process.terminate(within).await?;
        let said = process.stdout() + &process.stderr();
        ensure!(
            status.success(),
            "{} stopped with {status}\n{said}",
            self.address
        );
        let bad = said
            .lines()
            .find(|line| line.contains("panicked") || line.contains("\"ERROR\""));
        ensure!(
            bad.is_none(),
            "{}: {}",
            self.address,
            bad.unwrap_or_default()
        );
        Ok(began.elapsed())
    }
}
