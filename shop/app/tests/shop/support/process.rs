//! The binary on a temporary folder, with free ports.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use reqwest::Client;
use secrecy::ExposeSecret;
use shop_auditor::Audit;
use shop_cluster::{Broker, Cluster, Plan};
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::eventsourcing::SealingKey;
use stanchion::sql::DatabaseUrl;
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use stanchion_testing::servers;
use tempfile::TempDir;

use super::eventually;
use super::operated::{Operated, launch, operate};

/// Enough for a debug build on a busy machine.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(30);

/// The stop protocol's 30 seconds, and some for a busy machine.
pub(crate) const STOPPED_WITHIN: Duration = Duration::from_secs(40);

pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";

const DEMO_PRODUCTS: u32 = 12;

/// Another process may take a free port before the shop does.
const STARTS_MAX: usize = 3;

/// What replicas share; an embedded shop makes its own.
const SERVER_SECRET: &str = "a secret that every replica has: 32 bytes and more";

/// A shop that runs; it is killed and its folder deleted when dropped.
pub(crate) struct Shop {
    pub(crate) process: ServiceProcess,
    pub(crate) address: String,
    pub(crate) admin_address: String,
    launch: Launch,
    folder: TempDir,
    stores: DatabaseUrl,
    /// The master key it was given; an embedded shop makes its own.
    master_key: Option<String>,
    /// Its services, where it is several; the process is one beside them that does nothing.
    pub(crate) services: Option<Cluster>,
    pub(super) http: Client,
}

/// Twenty calls at once of debug builds beside other tests take longer than the quarter of a second from which on a call
/// is slow, and half of twenty slow ones open a breaker: right for a dependency, wrong for a machine that is full.
const PATIENT: [(&str, &str); 2] = [
    ("SHOP__IDENTITY__CLIENT__POLICY__BREAKER__SLOW_ABOVE", "3s"),
    ("SHOP__INVENTORY__CLIENT__POLICY__BREAKER__SLOW_ABOVE", "3s"),
];

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

    /// The same on an empty PostgreSQL database whose schema an operator has made; `None`, said loudly,
    /// where no server can be had.
    pub(crate) async fn start_on_postgres() -> Option<Self> {
        let url = servers::required("postgres")?;
        let key = KeyEncryptionKey::generate_text();
        let master = SealingKey::generate_text();
        let settings = [
            ("SHOP__DATABASE__URL", url.as_str()),
            ("SHOP__SERVER__SECRET", SERVER_SECRET),
            ("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", key.expose_secret()),
            ("SHOP__PERSONAL__MASTER_KEY", master.expose_secret()),
        ];
        operate(launch(&settings), &["migrate"]).await.expect(0);
        Some(Self::start_with(&settings).await)
    }

    /// Four services, each with a process that serves and one that works, on an empty PostgreSQL database and with this
    /// broker, behind one address; `None`, said loudly, where that cannot be had.
    pub(crate) async fn start_in_services(broker: Broker) -> Option<Self> {
        let shop = Self::start_in_services_with(broker, &[], &[]).await?;
        shop.stocked().await;
        Some(shop)
    }

    /// The same with some settings for every process, and without some contexts or the gateway.
    pub(crate) async fn start_in_services_with(
        broker: Broker,
        settings: &[(&str, &str)],
        absent: &[&'static str],
    ) -> Option<Self> {
        Self::start_in_services_as(broker, |plan| {
            let settings = settings.iter();
            let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            plan.settings = settings.collect();
            plan.absent = absent.to_vec();
        })
        .await
    }

    /// The same by another plan than the plain one.
    pub(crate) async fn start_in_services_as(
        broker: Broker,
        change: impl Fn(&mut Plan),
    ) -> Option<Self> {
        let url = servers::required("postgres")?;
        if !shop_cluster::has_front() {
            servers::skip("haproxy");
            return None;
        }
        let begin = async || -> anyhow::Result<Self> {
            let folder = tempfile::Builder::new().prefix("shop-").tempdir()?;
            let binary = PathBuf::from(env!("CARGO_BIN_EXE_shop"));
            let mut plan = Plan::on(binary, folder.path(), &url, broker.clone());
            change(&mut plan);
            let patient = PATIENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
            plan.settings.splice(0..0, patient);
            Self::of_services(Cluster::start(plan, READY_WITHIN * 2).await?, folder, &url)
        };
        let shop = match begin().await {
            Ok(shop) => shop,
            // A port may have been taken meanwhile.
            Err(_) => begin().await.unwrap(),
        };
        Some(shop)
    }

    fn of_services(services: Cluster, folder: TempDir, url: &str) -> anyhow::Result<Self> {
        let launch = Launch::new("sleep").arg("infinity");
        Ok(Self {
            process: launch.spawn()?,
            address: services.address().to_owned(),
            admin_address: services.services()[0].admin().to_owned(),
            launch,
            folder,
            stores: url.parse()?,
            master_key: None,
            services: Some(services),
            http: http_client(Client::builder()),
        })
    }

    async fn begin(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (mut shop, _) = Self::spawn_with(settings)?;
        shop.process.ready(READY_WITHIN).await?;
        shop.stocked().await;
        Ok(shop)
    }

    /// The list follows the log: after the first start it fills while one looks.
    pub(crate) async fn stocked(&self) {
        eventually("the demo products are listed", READY_WITHIN, || async {
            let list = self.anyone().get("/products").send().await.expect(200);
            (list.meta()["total"] == DEMO_PRODUCTS).then_some(())
        })
        .await;
    }

    /// Some modules alone, on stores that were made before.
    pub(crate) async fn start_modules(modules: &str, settings: &[(&str, &str)]) -> Self {
        let begin = async || -> anyhow::Result<Self> {
            let arguments = ["--no-demo", "--modules", modules];
            let (mut shop, _) = Self::spawn_as(settings, &arguments)?;
            shop.process.ready(READY_WITHIN).await?;
            Ok(shop)
        };
        for _ in 1..STARTS_MAX {
            if let Ok(shop) = begin().await {
                return shop;
            }
        }
        begin().await.unwrap()
    }

    /// Starts the process and waits for nothing; also says where it keeps its data.
    pub(crate) fn spawn_with(settings: &[(&str, &str)]) -> anyhow::Result<(Self, PathBuf)> {
        Self::spawn_as(settings, &[])
    }

    fn spawn_as(settings: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<(Self, PathBuf)> {
        let folder = tempfile::Builder::new().prefix("shop-").tempdir()?;
        let (port, admin_port) = (free_port()?, free_port()?);
        let (address, admin_address) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{admin_port}"),
        );
        let own = [
            ("SHOP__SERVER__LISTEN", address.as_str()),
            ("SHOP__ADMIN__LISTEN", admin_address.as_str()),
            ("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD),
            ("SHOP__TELEMETRY__FORMAT", "json"),
            // No balancer has to notice that it stops.
            ("SHOP__SERVER__LAME_DUCK", "0s"),
        ];
        let launch = launch(&[&own, settings].concat())
            .folder(folder.path())
            .ready_when(format!("http://{address}/ready"));
        let launch = arguments
            .iter()
            .fold(launch, |launch, argument| launch.arg(argument));
        let process = launch.spawn()?;
        let data = folder.path().join("data");
        let url = settings
            .iter()
            .find(|(name, _)| *name == "SHOP__DATABASE__URL");
        let stores = match url {
            Some((_, url)) => url.parse()?,
            None => DatabaseUrl::sqlite(&data),
        };
        let master_key = settings
            .iter()
            .find(|(name, _)| *name == "SHOP__PERSONAL__MASTER_KEY")
            .map(|(_, key)| (*key).to_owned());
        let http = http_client(Client::builder());
        Ok((
            Self {
                process,
                address,
                admin_address,
                launch,
                folder,
                stores,
                master_key,
                services: None,
                http,
            },
            data,
        ))
    }

    /// Every process of it at once: nothing is flushed, nothing said goodbye.
    pub(crate) fn kill(&mut self) {
        match &mut self.services {
            Some(services) => services.kill().unwrap(),
            None => drop(self.process.kill().unwrap()),
        }
    }

    /// The process again on the same folder and ports, after it has ended.
    pub(crate) async fn restart(&mut self) {
        if let Some(services) = &mut self.services {
            return services.restart(READY_WITHIN * 2).await.unwrap();
        }
        self.process = self.launch.start(READY_WITHIN).await.unwrap();
    }

    /// The process again with other settings as well; what it said if it did not start.
    pub(crate) async fn restart_with(&mut self, settings: &[(&str, &str)]) -> Result<(), String> {
        let set = |launch: Launch, (name, value): &(&str, &str)| launch.env(*name, *value);
        self.launch = settings.iter().fold(self.launch.clone(), set);
        let mut process = self.launch.spawn().unwrap();
        match process.ready(READY_WITHIN).await {
            Ok(_) => {
                self.process = process;
                Ok(())
            }
            Err(error) => Err(format!(
                "{error:#}\n{}{}",
                process.stdout(),
                process.stderr()
            )),
        }
    }

    /// Runs a command of an operator, with this shop's settings and in its folder.
    pub(crate) async fn operate(&self, arguments: &[&str]) -> Operated {
        operate(self.launch.clone(), arguments).await
    }

    /// What the auditor says of the stores and of the gateway's books as they are now.
    pub(crate) async fn audit(&self) -> Audit {
        let gateway = DatabaseUrl::sqlite(self.data());
        shop_auditor::audit(&self.stores, Some(&gateway), None)
            .await
            .unwrap()
    }

    /// Where the modules keep their state.
    pub(crate) fn stores(&self) -> &DatabaseUrl {
        &self.stores
    }

    /// Where embedded stores, secrets and the gateway's books are.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The master key of personal data, as it was at the first start.
    pub(crate) fn master_key(&self) -> String {
        let kept = || std::fs::read_to_string(self.data().join("personal-data.key")).unwrap();
        self.master_key.clone().unwrap_or_else(kept)
    }

    /// The process's working folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
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
