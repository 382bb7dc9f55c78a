//! Two processes with identity, on one PostgreSQL database.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use serde_json::json;
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::refresh::RefreshToken;
use stanchion::eventsourcing::SealingKey;
use stanchion::sql::{DatabaseSettings, Db, params};
use stanchion_testing::proxy::FaultProxy;
use stanchion_testing::servers;

use super::{Answer, Caller, Shop, launch, operate};

const SECRET: &str = "a secret that both processes have: 32 bytes and more";

/// Both processes, and the database as nobody stands between.
pub(crate) struct Pair {
    pub(crate) one: Shop,
    pub(crate) other: Shop,
    pub(crate) db: Db,
    /// Between the first process and its database.
    pub(crate) proxy: FaultProxy,
}

impl Pair {
    /// With these settings as well; `None`, said loudly, where no server can be had.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let url = servers::required("postgres")?;
        let (key, master) = (
            KeyEncryptionKey::generate_text(),
            SealingKey::generate_text(),
        );
        let shared = [
            ("SHOP__DATABASE__URL", url.as_str()),
            ("SHOP__SERVER__SECRET", SECRET),
            ("SHOP__AUTH__ISSUER", "https://shop.example"),
            ("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", key.expose_secret()),
            // Hundreds of logins.
            ("SHOP__IDENTITY__HASH_MEMORY_KIB", "8"),
            ("SHOP__IDENTITY__ATTEMPTS__ON", "false"),
            ("SHOP__PERSONAL__MASTER_KEY", master.expose_secret()),
        ];
        let shared = [&shared, settings].concat();
        operate(launch(&shared), &["migrate"]).await.expect(0);
        let (server, path) = place(&url);
        let proxy = FaultProxy::start(server).unwrap();
        let through = format!("postgres://postgres@{}{path}", proxy.address());
        let hurt = [&shared[..], &[("SHOP__DATABASE__URL", through.as_str())]].concat();
        let one = Shop::start_modules("identity", &hurt).await;
        let other = Shop::start_modules("identity", &shared).await;
        let settings = DatabaseSettings::default();
        let db = Db::open(&url.parse().unwrap(), "identity", &settings).await;
        Some(Self {
            one,
            other,
            db: db.unwrap(),
            proxy,
        })
    }

    /// The first process for even numbers, the other for odd ones.
    pub(crate) fn nth(&self, nth: usize) -> &Shop {
        [&self.one, &self.other][nth % 2]
    }

    /// Whether a token was used, as the database has it.
    pub(crate) async fn is_used(&self, token: &str) -> bool {
        let hash = RefreshToken::parse(token).unwrap().hash();
        let sql = "select state = 'used' from refresh_tokens where hash = $1";
        let params = params![hash.as_bytes().as_slice()];
        self.db.one(sql, params).await.unwrap().get(0).unwrap()
    }

    /// How many tokens there are of the family of this one, and why it has ended.
    pub(crate) async fn family_of(&self, token: &str) -> (i64, Option<String>) {
        let hash = RefreshToken::parse(token).unwrap().hash();
        let sql = "select (select count(*) from refresh_tokens t where t.session_id = s.id), s.end_reason \
                   from sessions s where s.id = (select session_id from refresh_tokens where hash = $1)";
        let params = params![hash.as_bytes().as_slice()];
        let row = self.db.one(sql, params).await.unwrap();
        (row.get(0).unwrap(), row.get(1).unwrap())
    }

    /// Cuts the connections on which the processes are told that the log grew; how many those were.
    pub(crate) async fn cut_listeners(&self) -> usize {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and application_name like '%/listener'";
        self.db.query(sql, params![]).await.unwrap().len()
    }
}

/// Presents a refresh token.
pub(crate) async fn refresh(at: &Shop, token: &str) -> Answer {
    try_refresh(&at.anyone(), token).await.unwrap()
}

/// The same at a process that may be killed meanwhile.
pub(crate) async fn try_refresh(caller: &Caller, token: &str) -> anyhow::Result<Answer> {
    let body = json!({"refresh_token": token});
    caller.post("/auth/refresh").json(&body).try_send().await
}

/// The server, and what comes after it in the URL.
fn place(url: &str) -> (SocketAddr, String) {
    let rest = url.split_once('@').unwrap().1;
    let (server, path) = rest.split_once('/').unwrap();
    (server.parse().unwrap(), format!("/{path}"))
}
