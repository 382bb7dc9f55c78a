//! The binary on a temporary folder, with free ports.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, Method};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use tempfile::TempDir;

use super::caller::{Ask, Caller};
use super::eventually;

/// Enough for a debug build on a busy machine.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(30);

/// The stop protocol's 30 seconds, and some for a busy machine.
pub(crate) const STOPPED_WITHIN: Duration = Duration::from_secs(40);

pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";

const DEMO_PRODUCTS: u32 = 12;

/// Another process may take a free port before the shop does.
const STARTS_MAX: usize = 3;

/// A shop that runs; it is killed and its folder deleted when dropped.
pub(crate) struct Shop {
    pub(crate) process: ServiceProcess,
    pub(crate) address: String,
    pub(crate) admin_address: String,
    launch: Launch,
    folder: TempDir,
    http: Client,
}

impl Shop {
    /// Every module in one process on an empty store, with demo products and a known admin password.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with some settings, such as `("SHOP__SERVER__DRAIN", "1s")`.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        for _ in 1..STARTS_MAX {
            let shop = Self::begin(settings).await;
            if let Ok(shop) = shop {
                return shop;
            }
        }
        Self::begin(settings).await.unwrap()
    }

    async fn begin(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (mut shop, _) = Self::spawn_with(settings)?;
        shop.process.ready(READY_WITHIN).await?;
        shop.stocked().await;
        Ok(shop)
    }

    /// The list follows the log: after the first start it fills while one looks.
    async fn stocked(&self) {
        eventually("the demo products are listed", READY_WITHIN, || async {
            let list = self.anyone().get("/products").send().await.expect(200);
            (list.meta()["total"] == DEMO_PRODUCTS).then_some(())
        })
        .await;
    }

    /// Starts the process and waits for nothing; also says where it keeps its data.
    pub(crate) fn spawn_with(settings: &[(&str, &str)]) -> anyhow::Result<(Self, PathBuf)> {
        let folder = tempfile::Builder::new().prefix("shop-").tempdir()?;
        let (port, admin_port) = (free_port()?, free_port()?);
        let (address, admin_address) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{admin_port}"),
        );
        let mut launch = Launch::new(env!("CARGO_BIN_EXE_shop"))
            .folder(folder.path())
            .env("SHOP__SERVER__LISTEN", &address)
            .env("SHOP__ADMIN__LISTEN", &admin_address)
            .env("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("SHOP__TELEMETRY__FORMAT", "json")
            .ready_when(format!("http://{address}/ready"));
        for (name, value) in settings {
            launch = launch.env(*name, *value);
        }
        let process = launch.spawn()?;
        let data = folder.path().join("data");
        let http = http_client(Client::builder());
        Ok((
            Self {
                process,
                address,
                admin_address,
                launch,
                folder,
                http,
            },
            data,
        ))
    }

    /// The process again on the same folder and ports, after it has ended.
    pub(crate) async fn restart(&mut self) {
        self.process = self.launch.start(READY_WITHIN).await.unwrap();
    }

    /// Where the stores are.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process's working folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody without a token.
    pub(crate) fn anyone(&self) -> Caller {
        Caller::anonymous(self.http.clone(), format!("http://{}", self.address))
    }

    /// `GET` of a path outside `/api/v1`.
    pub(crate) fn fetch(&self, path: &str) -> Ask {
        Ask::new(
            &self.http,
            Method::GET,
            format!("http://{}{path}", self.address),
        )
    }

    /// `GET` on the admin port.
    pub(crate) fn fetch_admin(&self, path: &str) -> Ask {
        Ask::new(
            &self.http,
            Method::GET,
            format!("http://{}{path}", self.admin_address),
        )
    }

    /// A new customer, logged in.
    pub(crate) async fn customer(&self, name: &str) -> Caller {
        let mut caller = self.anyone();
        caller.register(name).await;
        caller
    }

    /// The first administrator, logged in.
    pub(crate) async fn admin(&self) -> Caller {
        let mut caller = self.anyone();
        caller.log_in("admin", ADMIN_PASSWORD).await;
        caller
    }

    /// A new user with the role `staff`, logged in after getting it.
    pub(crate) async fn staff(&self, name: &str) -> Caller {
        let mut staff = self.customer(name).await;
        let roles = serde_json::json!({"roles": ["staff"]});
        let admin = self.admin().await;
        admin
            .put(&format!("/users/{}/roles", staff.id))
            .json(&roles)
            .send()
            .await
            .expect(200);
        staff.log_in(name, super::PASSWORD).await;
        staff
    }
}

/// A client with the only TLS provider, which it wants even for plain text.
pub(crate) fn http_client(builder: reqwest::ClientBuilder) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where one is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    builder
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}
