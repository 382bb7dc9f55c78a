//! What a cluster is made of, and what its processes are told.

use std::path::{Path, PathBuf};

use stanchion_testing::process::Launch;

use crate::{ADMIN_PASSWORD, Broker, CONTEXTS, Certificates};

const GATEWAY_KEY: &str = "sk_test_cluster";
const WEBHOOK_SECRET: &str = "whsec_cluster";

/// What every process is told.
const SHARED: [(&str, &str); 9] = [
    ("SHOP__DATABASE__CONNECTIONS_MAX", "13"),
    (
        "SHOP__SERVER__SECRET",
        "a secret that every process has: 32 bytes and more",
    ),
    ("SHOP__SERVER__TRUSTED_PROXIES", r#"["127.0.0.1"]"#),
    ("SHOP__AUTH__ISSUER", "http://shop"),
    ("SHOP__PAYMENTS__GATEWAY_KEY", GATEWAY_KEY),
    ("SHOP__PAYMENTS__WEBHOOK_SECRET", WEBHOOK_SECRET),
    ("SHOP__TELEMETRY__FORMAT", "json"),
    // Twice a balancer's probes and more.
    ("SHOP__SERVER__LAME_DUCK", "2s"),
    // A module that is started again is asked again soon.
    ("SHOP__INVENTORY__CLIENT__POLICY__BREAKER__OPEN", "500ms"),
];

/// What only processes with identity are told.
pub(crate) const IDENTITY: [(&str, &str); 3] = [
    ("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD),
    (
        "SHOP__IDENTITY__KEY_ENCRYPTION_KEY",
        "cm9sbGluZyByZXN0YXJ0cywga2V5IG9mIHRoZSBrZXk=",
    ),
    (
        "SHOP__PERSONAL__MASTER_KEY",
        "cm9sbGluZyByZXN0YXJ0cywga2V5IG9mIHBlcnNvbnM=",
    ),
];

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The shop's binary.
    pub binary: PathBuf,
    /// An empty folder for working folders and the gateway's books.
    pub folder: PathBuf,
    /// Each context's PostgreSQL database, in the order of [`CONTEXTS`]; the same one for all means a schema each.
    pub databases: [String; 4],
    /// What carries messages.
    pub broker: Broker,
    /// `SHOP__…` for every process, stronger than what a cluster sets by itself.
    pub settings: Vec<(String, String)>,
    /// Where the one address is; a free port unless given.
    pub listen: Option<u16>,
    /// How many processes serve the requests of each context; one works whatever it says. 1 unless given.
    pub apis: usize,
    /// With mutual TLS between the services and from the front to them; the one address is plain.
    pub tls: Option<Certificates>,
    /// Contexts that are not there yet, and [`crate::GATEWAY`]: [`crate::Cluster::restart`] starts them later.
    pub absent: Vec<&'static str>,
}

impl Plan {
    /// A plan on one database for all contexts.
    #[must_use]
    pub fn on(binary: PathBuf, folder: &Path, database: &str, broker: Broker) -> Self {
        Self {
            binary,
            folder: folder.to_owned(),
            databases: [(); 4].map(|()| database.to_owned()),
            broker,
            settings: Vec::new(),
            listen: None,
            apis: 1,
            tls: None,
            absent: Vec::new(),
        }
    }

    pub(crate) fn database_of(&self, context: &str) -> &str {
        let nth = CONTEXTS.iter().position(|name| *name == context);
        &self.databases[nth.unwrap_or_default()]
    }
}

/// The binary with what all processes are told.
pub(crate) fn common(plan: &Plan, ports: &[Vec<u16>], gateway: u16) -> Launch {
    let mut launch = Launch::new(&plan.binary).folder(&plan.folder);
    for (name, value) in SHARED {
        launch = launch.env(name, value);
    }
    for (context, ports) in CONTEXTS.iter().zip(ports) {
        let context = context.to_uppercase();
        let database = plan.database_of(&context.to_lowercase()).to_owned();
        launch = launch.env(format!("SHOP__{context}__DATABASE__URL"), database);
        if matches!(context.as_str(), "IDENTITY" | "INVENTORY") {
            let endpoint = endpoint(plan, ports[0]);
            let addresses = ports.iter().map(|port| format!("\"127.0.0.1:{port}\""));
            let addresses = addresses.collect::<Vec<_>>().join(",");
            launch = launch
                .env(format!("SHOP__{context}__ENDPOINT"), endpoint)
                .env(
                    format!("SHOP__{context}__CLIENT__ADDRESSES"),
                    format!("[{addresses}]"),
                );
        }
    }
    launch = launch
        .env("SHOP__DATABASE__URL", &plan.databases[0])
        .env("SHOP__BROKER__URL", plan.broker.url())
        .env(
            "SHOP__PAYMENTS__GATEWAY_URL",
            format!("http://127.0.0.1:{gateway}"),
        );
    for (name, value) in &plan.settings {
        launch = launch.env(name, value);
    }
    launch
}

pub(crate) fn endpoint(plan: &Plan, port: u16) -> String {
    let scheme = if plan.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://localhost:{port}")
}
