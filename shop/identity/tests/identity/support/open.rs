//! The ways to start identity.

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use shop_identity::{
    AttemptSettings, Attempts, Bootstrapped, Counting, Dependencies, Identity, StartError,
    migrations, module,
};
use stanchion::auth::Passwords;
use stanchion::auth::key::{KeyEncryptionKey, SigningAlgorithm};
use stanchion::auth::password::{Cost, PasswordSettings};
use stanchion::auth::refresh::{Lifetimes, Overlap};
use stanchion::auth::secret::Signer;
use stanchion::auth::token::ACCESS_TTL;
use stanchion::server::{ServerSettings, Service};
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlInbox, SqlLog, migrate};
use stanchion::telemetry::Metrics;
use tempfile::TempDir;

use super::post::{self, Postbox};
use super::{ADMIN_PASSWORD, Inner, Shop};

/// Enough for Argon2 to be Argon2, and little enough for hundreds of logins.
const CHEAP: PasswordSettings = PasswordSettings {
    cost: Cost {
        memory_kib: 64,
        iterations: 1,
        lanes: 1,
    },
    slots: 4,
    queue: 1_000,
};

/// One hash at a time, each long enough for others to come meanwhile.
const SLOW: PasswordSettings = PasswordSettings {
    cost: Cost {
        memory_kib: 32 * 1024,
        iterations: 4,
        lanes: 1,
    },
    slots: 1,
    queue: 2,
};

/// Where the rows are; a folder goes away with its last user.
pub(crate) struct Place {
    url: DatabaseUrl,
    overlap: SignedDuration,
    attempts: Attempts,
    _folder: Option<TempDir>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::on(Place::temporary()).await
    }

    pub(crate) async fn on(place: Place) -> Self {
        Self::with(place, CHEAP).await
    }

    /// With the limits of who may try how often, as they are by default. Nobody has an address here.
    pub(crate) async fn limited() -> Self {
        Self::limited_by(&AttemptSettings::default()).await
    }

    /// With these limits.
    pub(crate) async fn limited_by(settings: &AttemptSettings) -> Self {
        let counting = Counting {
            signer: Arc::new(signer()),
            replicas: 1,
            shared: &|_, _| None,
            metrics: &Metrics::default(),
        };
        let mut place = Place::temporary();
        place.attempts = Attempts::new(settings, &counting);
        Self::on(place).await
    }

    pub(crate) async fn with_slow_hashing() -> Self {
        Self::with(Place::temporary(), SLOW).await
    }

    /// The same store as a process sees it whose hashes cost more.
    pub(crate) async fn with_dearer_hashing(&self) -> Self {
        let (sealing, place) = (Arc::clone(&self.sealing), Arc::clone(&self.place));
        Self::start(place, sealing, SLOW, None).await.unwrap().0
    }

    /// With mails, which go into that box.
    pub(crate) async fn with_post() -> (Self, Arc<Postbox>) {
        Self::open().await.posted().await
    }

    /// The same store as a process sees it that hands mails over.
    pub(crate) async fn posted(&self) -> (Self, Arc<Postbox>) {
        let postbox = Arc::new(Postbox::default());
        let (sealing, place) = (Arc::clone(&self.sealing), Arc::clone(&self.place));
        let started = Self::serve(place, sealing, CHEAP, None, Some(&postbox), true).await;
        (started.unwrap().0, postbox)
    }

    /// The same store as a process sees it that wants mails and dies before one is handed over.
    pub(crate) async fn posted_but_dead(&self) -> Self {
        let postbox = Arc::new(Postbox::default());
        let (sealing, place) = (Arc::clone(&self.sealing), Arc::clone(&self.place));
        let started = Self::serve(place, sealing, CHEAP, None, Some(&postbox), false).await;
        started.unwrap().0
    }

    /// With the hashes of production, of which so many may wait.
    pub(crate) async fn with_real_hashing(queue: usize) -> Self {
        let real = PasswordSettings {
            queue,
            ..PasswordSettings::default()
        };
        Self::with(Place::temporary(), real).await
    }

    /// The same store under a new process' identity.
    pub(crate) async fn restarted(self) -> Self {
        self.db.close().await;
        let (sealing, place) = (Arc::clone(&self.sealing), Arc::clone(&self.place));
        drop(self);
        let password = SecretString::from("configured since");
        let started = Self::start(place, sealing, CHEAP, Some(&password)).await;
        started.unwrap().0
    }

    /// The same store and key once more, without a configured password.
    pub(crate) async fn again(&self) -> (Self, Bootstrapped) {
        let (sealing, place) = (Arc::clone(&self.sealing), Arc::clone(&self.place));
        Self::start(place, sealing, CHEAP, None).await.unwrap()
    }

    pub(crate) async fn with_another_sealing_key(&self) -> Result<(), StartError> {
        let place = Arc::clone(&self.place);
        let started = Self::start(place, sealing_key(), CHEAP, None).await;
        started.map(drop)
    }

    /// The same store as a second replica sees it: nothing but rows in common.
    pub(crate) async fn replica(&self) -> Self {
        self.again().await.0
    }

    pub(crate) async fn start(
        place: Arc<Place>,
        sealing: Arc<KeyEncryptionKey>,
        passwords: PasswordSettings,
        admin_password: Option<&SecretString>,
    ) -> Result<(Self, Bootstrapped), StartError> {
        Self::serve(place, sealing, passwords, admin_password, None, false).await
    }

    async fn serve(
        place: Arc<Place>,
        sealing: Arc<KeyEncryptionKey>,
        passwords: PasswordSettings,
        admin_password: Option<&SecretString>,
        postbox: Option<&Arc<Postbox>>,
        works: bool,
    ) -> Result<(Self, Bootstrapped), StartError> {
        let mut dependencies = dependencies(&place.url, Arc::clone(&sealing), &passwords).await;
        dependencies.overlap = Overlap::of(place.overlap, &signer());
        dependencies.attempts = place.attempts.clone();
        dependencies.mail = postbox.map(|postbox| post::dependencies(postbox, &dependencies));
        Self::of(dependencies, place, admin_password, works).await
    }

    /// The same store with these keys around it and keys of that algorithm.
    pub(crate) async fn with_keys(
        &self,
        sealing: Arc<KeyEncryptionKey>,
        algorithm: SigningAlgorithm,
    ) -> Result<Self, StartError> {
        let place = Arc::clone(&self.place);
        let mut dependencies = dependencies(&place.url, sealing, &CHEAP).await;
        dependencies.signing_algorithm = algorithm;
        let started = Self::of(dependencies, place, None, false).await;
        started.map(|(shop, _)| shop)
    }

    /// On an empty store, sealed with that key.
    pub(crate) async fn start_sealed(key: &SecretString) -> Self {
        let sealing = Arc::new(KeyEncryptionKey::from_text(key).unwrap());
        let place = Arc::new(Place::temporary());
        let password = SecretString::from(ADMIN_PASSWORD);
        let started = Self::start(place, sealing, CHEAP, Some(&password)).await;
        started.unwrap().0
    }

    pub(crate) fn sealing(&self) -> Arc<KeyEncryptionKey> {
        Arc::clone(&self.sealing)
    }

    async fn of(
        dependencies: Dependencies,
        place: Arc<Place>,
        admin_password: Option<&SecretString>,
        works: bool,
    ) -> Result<(Self, Bootstrapped), StartError> {
        let identity = Identity::new(&dependencies);
        let bootstrapped = identity.bootstrap(admin_password).await?;
        let router = Service::new(ServerSettings::default())
            .mount(module(&identity, &dependencies))
            .tokens(identity.authenticator())
            .signer(Arc::new(signer()))
            .into_router()
            .unwrap();
        let running = match works {
            true => Some(post::working(module(&identity, &dependencies)).await),
            false => None,
        };
        let inner = Inner {
            _running: running,
            router,
            log: dependencies.log,
            db: dependencies.db,
            passwords: dependencies.passwords,
            metrics: dependencies.metrics,
            sealing: dependencies.sealing,
            identity,
            place,
        };
        Ok((Self(Arc::new(inner)), bootstrapped))
    }

    /// Two replicas that start at the same time on an empty store.
    pub(crate) async fn pair_at(url: &str) -> (Self, Self) {
        Self::pair_in(Place::on(url)).await
    }

    pub(crate) async fn pair_in(place: Place) -> (Self, Self) {
        let place = Arc::new(place);
        let (sealing, password) = (sealing_key(), SecretString::from(ADMIN_PASSWORD));
        let start = || {
            let (place, sealing) = (Arc::clone(&place), Arc::clone(&sealing));
            Self::start(place, sealing, CHEAP, Some(&password))
        };
        let (one, other) = tokio::join!(start(), start());
        (one.unwrap().0, other.unwrap().0)
    }

    async fn with(place: Place, passwords: PasswordSettings) -> Self {
        let password = SecretString::from(ADMIN_PASSWORD);
        let started = Self::start(Arc::new(place), sealing_key(), passwords, Some(&password)).await;
        started.unwrap().0
    }
}

impl Place {
    pub(crate) fn temporary() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            url: DatabaseUrl::sqlite(folder.path()),
            overlap: SignedDuration::ZERO,
            attempts: Attempts::default(),
            _folder: Some(folder),
        }
    }

    pub(crate) fn on(url: &str) -> Self {
        Self {
            url: url.parse().unwrap(),
            overlap: SignedDuration::ZERO,
            attempts: Attempts::default(),
            _folder: None,
        }
    }

    /// Used refresh tokens are answered again for so long.
    pub(crate) fn with_overlap(self, millis: i64) -> Self {
        let overlap = SignedDuration::from_millis(millis);
        Self { overlap, ..self }
    }
}

fn signer() -> Signer {
    Signer::new(&SecretString::from("0123456789abcdef0123456789abcdef")).unwrap()
}

pub(crate) fn sealing_key() -> Arc<KeyEncryptionKey> {
    let text = KeyEncryptionKey::generate_text();
    Arc::new(KeyEncryptionKey::from_text(&text).unwrap())
}

pub(crate) async fn dependencies(
    url: &DatabaseUrl,
    sealing: Arc<KeyEncryptionKey>,
    passwords: &PasswordSettings,
) -> Dependencies {
    let db = Db::open(url, "identity", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[migrations()], Mode::Auto).await.unwrap();
    Dependencies {
        log: Arc::new(SqlLog::open(db.clone()).await.unwrap()),
        inbox: Arc::new(SqlInbox::new(db.clone())),
        db,
        passwords: Passwords::new(passwords).unwrap(),
        sealing,
        signing_algorithm: SigningAlgorithm::default(),
        issuer: "https://shop.example".into(),
        audience: "shop".into(),
        access_ttl: ACCESS_TTL,
        ended_sessions_kept: SignedDuration::from_hours(24 * 7),
        mail: None,
        attempts: Attempts::default(),
        lifetimes: Lifetimes {
            idle: SignedDuration::from_hours(24),
            family: SignedDuration::from_hours(240),
        },
        overlap: Overlap::none(),
        metrics: Metrics::default(),
    }
}
