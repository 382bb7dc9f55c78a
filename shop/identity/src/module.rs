use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;
use stanchion::auth::key::{KeyEncryptionKey, KeyRing, SigningAlgorithm, rotation};
use stanchion::auth::refresh::{Lifetimes, Overlap};
use stanchion::auth::secret::Signer;
use stanchion::auth::{AccessTokens, Passwords};
use stanchion::eventsourcing::{EventLog, Relay, Vault};
use stanchion::mail::Mailer;
use stanchion::messaging::{Consumer, ConsumerStore, Inbox, Publisher, Subscriber};
use stanchion::server::{Authenticate, Grpc, Module};
use stanchion::sql::{Db, params};
use stanchion::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::adapters::http::{self, SessionTokens};
use crate::adapters::rows::{
    ApiKeyRows, ClientRows, CodeRows, FormerEmailRows, KeyRows, OneTimeRows, SessionRows, UserRows,
};
use crate::adapters::{announce, grpc};
use crate::application::{
    Attempts, Bootstrapped, Failure, Identity, LiveSessions, MailPages, OAuth, Post, SessionCounts,
    StartError, Uses, first_start, live_keys,
};

/// How often ended sessions are looked for that can be deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// How often it is written when sessions were used last.
const WRITE_USES_EVERY: Duration = Duration::from_secs(15);

/// What identity is made of.
#[derive(Clone)]
pub struct Dependencies {
    /// Its store, migrated with [`migrations`](crate::migrations()).
    pub db: Db,
    /// The log in the same store.
    pub log: Arc<dyn EventLog>,
    /// The inbox in the same store.
    pub inbox: Arc<dyn Inbox>,
    /// The pool that hashes passwords.
    pub passwords: Passwords,
    /// Seals the signing keys at rest; the same on every replica and at every start.
    pub sealing: Arc<KeyEncryptionKey>,
    /// What signing keys are made for; EdDSA unless verifiers need another one. A change is a rotation.
    pub signing_algorithm: SigningAlgorithm,
    /// `iss` of access tokens: the public URL.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// How long an access token lives; 15 minutes unless there is a reason.
    pub access_ttl: SignedDuration,
    /// How long sessions and refresh tokens live.
    pub lifetimes: Lifetimes,
    /// For how long a used refresh token is answered with the same child again; not at all unless there is a reason.
    pub overlap: Overlap,
    /// How long a session is kept that has ended; 7 days unless there is a reason.
    pub ended_sessions_kept: SignedDuration,
    /// How often somebody may try to get in; as often as they like by default.
    pub attempts: Attempts,
    /// Where sessions and refreshes are counted.
    pub metrics: Metrics,
    /// How mails are sent; none are without it, and whoever wants one is told so.
    pub mail: Option<MailDependencies>,
}

/// What identity sends mails with: they are wanted by entries of its log, which it consumes itself.
#[derive(Clone)]
pub struct MailDependencies {
    /// Hands them over.
    pub mailer: Arc<dyn Mailer>,
    /// Where their links lead.
    pub pages: MailPages,
    /// What brings back what identity announces by its [`relay`].
    pub broker: Arc<dyn Subscriber>,
    /// Progress, retries and dead letters of the consumer, in identity's store.
    pub consumers: Arc<dyn ConsumerStore>,
    /// Where the consumer asks for what a broker lost; none where nothing can be lost on the way.
    pub asks: Option<Arc<dyn Publisher>>,
    /// Where it counts.
    pub metrics: Metrics,
}

/// What identity announces, to be registered with the broker: which mails are wanted. Identity itself consumes it: `broker`
/// must bring it back.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("identity", log, announce::announce)
}

/// Routes, gRPC, the workers and the readiness of identity.
#[must_use]
pub fn module(identity: &Arc<Identity>, dependencies: &Dependencies) -> Module {
    let db = dependencies.db.clone();
    let mut module = Module::new("identity");
    if let Some(mail) = &dependencies.mail {
        let mails = announce::mails(identity, mail.consumer());
        module = module
            .consumers(Arc::clone(&mail.consumers))
            .worker("identity-mails", |stop| mails.run(stop));
    }
    module
        .routes(http::routes(Arc::clone(identity)))
        .root_routes(http::well_known(Arc::clone(identity)))
        .root_routes(http::oauth::routes(Arc::clone(identity)))
        .operator_router(http::oauth::clients::router(Arc::clone(identity)))
        .grpc(grpc::service(Arc::clone(identity)))
        .log(Arc::clone(&dependencies.log))
        .inbox(Arc::clone(&dependencies.inbox))
        // Whoever signs or checks tokens needs the keys of now, whatever else it does.
        .worker_in_every_role("identity-keys", {
            let identity = Arc::clone(identity);
            |stop| turn_keys(identity, stop)
        })
        // Whoever checks tokens remembers sessions, and hears so that others have ended them.
        .worker_in_every_role("identity-hear", {
            let (identity, log) = (Arc::clone(identity), Arc::clone(&dependencies.log));
            |stop| async move { identity.hear(log.as_ref(), stop).await }
        })
        .worker_in_every_role("identity-uses", {
            let identity = Arc::clone(identity);
            |stop| write_uses(identity, stop)
        })
        .worker("identity-prune", {
            let identity = Arc::clone(identity);
            |stop| prune(identity, stop)
        })
        .ready_when("database", move || {
            let db = db.clone();
            async move {
                db.query("select 1", params![])
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
        })
}

/// What the shop's other services ask when they run in processes of their own: `identity.v1`, for a module's
/// [`grpc`](Module::grpc). `signer` is made of the secret that all of them share.
#[must_use]
pub fn for_services(identity: &Arc<Identity>, vault: Arc<dyn Vault>, signer: &Signer) -> Grpc {
    grpc::for_services(Arc::clone(identity), vault, signer)
}

impl MailDependencies {
    fn consumer(&self) -> Consumer {
        let (store, broker) = (Arc::clone(&self.consumers), Arc::clone(&self.broker));
        let consumer = Consumer::new(announce::MAILS, store, broker).metrics(&self.metrics);
        match &self.asks {
            Some(publisher) => consumer.asking(Arc::clone(publisher)),
            None => consumer,
        }
    }
}

impl Identity {
    /// Identity on these; it signs nothing before [`bootstrap`](Self::bootstrap).
    #[must_use]
    pub fn new(dependencies: &Dependencies) -> Arc<Self> {
        let Dependencies {
            db,
            log,
            passwords,
            sealing,
            signing_algorithm,
            issuer,
            audience,
            access_ttl,
            lifetimes,
            overlap,
            ended_sessions_kept,
            metrics,
            mail,
            attempts,
            ..
        } = dependencies.clone();
        passwords.measured_by(&metrics);
        let ring = Arc::new(KeyRing::default());
        Arc::new(Self {
            log: log.id(),
            users: Arc::new(UserRows),
            sessions: Arc::new(SessionRows::of(&db)),
            db,
            keys: Arc::new(KeyRows),
            passwords,
            tokens: Arc::new(AccessTokens::new(issuer, audience, ring).with_ttl(access_ttl)),
            lifetimes,
            overlap,
            ended_sessions_kept,
            sealing,
            signing_algorithm,
            keys_reread: tokio::sync::Mutex::default(),
            keys_reading: tokio::sync::Mutex::default(),
            live: LiveSessions::default(),
            oauth: OAuth::new(Arc::new(ClientRows), Arc::new(CodeRows)),
            uses: Uses::default(),
            counts: SessionCounts::of(&metrics),
            one_time: Arc::new(OneTimeRows),
            former_emails: Arc::new(FormerEmailRows),
            api_keys: Arc::new(ApiKeyRows),
            live_keys: live_keys(),
            post: mail.map(|mail| Post {
                mailer: mail.mailer,
                pages: mail.pages,
            }),
            attempts,
        })
    }

    /// Puts the signing keys in place and, on an empty store, makes the user `admin`; before every serving.
    ///
    /// The administrator gets the configured password, or a generated one that is returned and can never be shown
    /// again. A password configured later changes nothing. May run in several processes at once.
    ///
    /// # Errors
    /// [`StartError`]: the store is out, the password breaks the rules, or keys are sealed under another key.
    pub async fn bootstrap(
        &self,
        admin_password: Option<&SecretString>,
    ) -> Result<Bootstrapped, StartError> {
        first_start(self, admin_password).await
    }

    /// Access tokens, checked for signature, live session and active user.
    ///
    /// What this process revokes is refused at once, what another one revokes within a second: within milliseconds where
    /// the log's notifications arrive, and within the second by a bound of its own where they do not.
    #[must_use]
    pub fn authenticator(self: &Arc<Self>) -> Arc<dyn Authenticate> {
        Arc::new(SessionTokens(Arc::clone(self)))
    }

    /// The access tokens themselves, for signing on behalf of services of this process.
    #[must_use]
    pub fn tokens(&self) -> &Arc<AccessTokens> {
        &self.tokens
    }
}

/// Rereads the signing keys now and then, and turns them when they are due.
async fn turn_keys(identity: Arc<Identity>, stop: CancellationToken) {
    let every = rotation::RELOAD_EVERY.unsigned_abs();
    while !stopped_within(every, &stop).await {
        if let Err(error) = identity.turn_keys().await {
            tracing::error!(%error, "the signing keys could not be turned; the ones in use stay");
        }
    }
}

/// Now and then, and once more at the end.
async fn write_uses(identity: Arc<Identity>, stop: CancellationToken) {
    loop {
        let stopped = stopped_within(WRITE_USES_EVERY, &stop).await;
        if let Err(error) = identity.write_uses().await {
            tracing::debug!(%error, "when some sessions were used last is written when they are used again");
        }
        if stopped {
            return;
        }
    }
}

async fn prune(identity: Arc<Identity>, stop: CancellationToken) {
    while !stopped_within(PRUNE_EVERY, &stop).await {
        in_batches(&stop, || identity.prune_sessions()).await;
        in_batches(&stop, || identity.prune_codes()).await;
    }
}

/// Until there is no more, or it is time to stop.
async fn in_batches<F>(stop: &CancellationToken, prune: impl Fn() -> F)
where
    F: Future<Output = Result<bool, Failure>>,
{
    loop {
        match prune().await {
            Ok(true) if !stop.is_cancelled() => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "what has ended could not be deleted; tried again later");
                return;
            }
        }
    }
}

async fn stopped_within(time: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(time, stop.cancelled()).await.is_ok()
}
