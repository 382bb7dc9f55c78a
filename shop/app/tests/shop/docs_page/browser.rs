//! Chromium without a window, driven over WebDriver: plain HTTP and JSON.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use tempfile::TempDir;

use super::script;
use crate::support::{needs, process::http_client};

const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// No name resolves but our own address, and Chromium's own errands are off.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

pub(crate) struct Browser {
    http: Client,
    session: String,
    // Both end with the browser.
    _driver: ServiceProcess,
    _profile: TempDir,
}

impl Browser {
    /// `None`, loudly, where Chromium or its driver is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let chromium = needs::program(&["chromium", "google-chrome"])?;
        let driver = needs::program(&["chromedriver"])?;
        let (port, profile) = (free_port().unwrap(), tempfile::tempdir().unwrap());
        let url = format!("http://127.0.0.1:{port}");
        let driver = Launch::new(driver)
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .ready_when(format!("{url}/status"))
            .start(STARTED_WITHIN)
            .await
            .unwrap();
        let http = http_client(Client::builder());
        let folder = format!(
            "--user-data-dir={}",
            profile.path().join("profile").display()
        );
        let arguments: Vec<_> = ARGUMENTS.into_iter().chain([folder.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = call(&http, Method::POST, &format!("{url}/session"), Some(wanted)).await;
        let session = format!("{url}/session/{}", made["sessionId"].as_str().unwrap());
        Some(Self {
            http,
            session,
            _driver: driver,
            _profile: profile,
        })
    }

    pub(crate) async fn open(&self, url: &str) {
        self.call(Method::POST, "url", Some(json!({"url": url})))
            .await;
    }

    /// What a script returns.
    pub(crate) async fn run(&self, text: &str) -> Value {
        self.call(Method::POST, "execute/sync", Some(script(text)))
            .await
    }

    pub(crate) async fn screenshot(&self, path: &Path) {
        let picture = self.call(Method::GET, "screenshot", None).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture.as_str().unwrap())
            .unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What the page's console says that is an error: a broken script, a refused resource.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self
            .call(Method::POST, "se/log", Some(json!({"type": "browser"})))
            .await;
        let lines = log
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| line["level"] == "SEVERE");
        lines
            .map(|line| line["message"].to_string())
            .filter(|text| !text.contains("favicon.ico"))
            .collect()
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        call(
            &self.http,
            method,
            &format!("{}/{path}", self.session),
            body,
        )
        .await
    }
}

async fn call(http: &Client, method: Method, url: &str, body: Option<Value>) -> Value {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(
        answer["value"]["error"].is_null(),
        "{url}: {}",
        answer["value"]
    );
    answer["value"].take()
}
