//! Identity on a store of its own, for tests of what has no way in from outside.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use shop_kernel::UserId;
use stanchion::auth::Passwords;
use stanchion::auth::key::{KeyEncryptionKey, SigningAlgorithm};
use stanchion::auth::password::{Cost, PasswordSettings};
use stanchion::auth::refresh::{Lifetimes, Overlap};
use stanchion::auth::secret::Signer;
use stanchion::auth::token::ACCESS_TTL;
use stanchion::eventsourcing::EventLog;
use stanchion::runtime::id;
use stanchion::sql::{DatabaseSettings, Db, Mode, SqlInbox, SqlLog, migrate};
use stanchion::telemetry::Metrics;

use crate::application::ports::Standing;
use crate::application::{AttemptSettings, Attempts, Counting, Identity};
use crate::domain::{Role, RoleSet};
use crate::{Dependencies, migrations};

/// Enough for Argon2 to be Argon2.
const CHEAP: PasswordSettings = PasswordSettings {
    cost: Cost {
        memory_kib: 64,
        iterations: 1,
        lanes: 1,
    },
    slots: 4,
    queue: 1_000,
};

/// Rows, and the key around the signing keys.
pub(crate) struct Store {
    pub(crate) db: Db,
    sealing: Arc<KeyEncryptionKey>,
}

impl Store {
    pub(crate) async fn memory() -> Self {
        Self::of(Db::memory("identity").unwrap()).await
    }

    pub(crate) async fn at(url: &str) -> Self {
        let (url, settings) = (url.parse().unwrap(), DatabaseSettings::default());
        Self::of(Db::open(&url, "identity", &settings).await.unwrap()).await
    }

    async fn of(db: Db) -> Self {
        migrate(&db, &[migrations()], Mode::Auto).await.unwrap();
        let text = KeyEncryptionKey::generate_text();
        let sealing = Arc::new(KeyEncryptionKey::from_text(&text).unwrap());
        Self { db, sealing }
    }

    pub(crate) async fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(SqlLog::open(self.db.clone()).await.unwrap())
    }

    /// A process on it, whose access tokens live so long; nothing runs behind its back.
    pub(crate) async fn identity(&self, access_ttl: SignedDuration) -> Arc<Identity> {
        let identity = Identity::new(&Dependencies {
            db: self.db.clone(),
            log: self.log().await,
            inbox: Arc::new(SqlInbox::new(self.db.clone())),
            passwords: Passwords::new(&CHEAP).unwrap(),
            sealing: Arc::clone(&self.sealing),
            signing_algorithm: SigningAlgorithm::default(),
            issuer: "https://shop.example".into(),
            audience: "shop".into(),
            access_ttl,
            lifetimes: Lifetimes::default(),
            overlap: Overlap::none(),
            ended_sessions_kept: SignedDuration::from_hours(24 * 7),
            attempts: Attempts::default(),
            metrics: Metrics::default(),
            mail: None,
        });
        let password = SecretString::from("the administrator's one");
        identity.bootstrap(Some(&password)).await.unwrap();
        identity
    }

    /// A process that counts what is wrong: so much from one address, and no more.
    pub(crate) async fn counting(&self, wrong_max: u32) -> Identity {
        let identity = self.identity(ACCESS_TTL).await;
        let mut identity = Arc::into_inner(identity).expect("nobody else has it");
        identity.attempts = counting(wrong_max);
        identity
    }
}

/// Counts what is wrong: so much from one address, and no more.
pub(crate) fn counting(wrong_max: u32) -> Attempts {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let settings = AttemptSettings {
        token_burst: wrong_max,
        token_every: Duration::from_secs(3_600),
        ..AttemptSettings::default()
    };
    let counting = Counting {
        signer: Arc::new(Signer::new(&secret).unwrap()),
        replicas: 1,
        shared: &|_, _| None,
        metrics: &Metrics::default(),
    };
    Attempts::new(&settings, &counting)
}

/// Somebody with a live session.
pub(crate) fn standing() -> Standing {
    Standing {
        user: UserId(id::new_v7()),
        roles: RoleSet::of(Role::Customer),
        epoch: 0,
        until: Timestamp::MAX,
        last_used_at: Timestamp::UNIX_EPOCH,
        grant: None,
    }
}
