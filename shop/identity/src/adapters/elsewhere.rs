//! Identity in another process: who bears a token, and the customers' keys, asked over the network.

mod api_keys;
mod bearers;
mod client_tokens;
mod ended;
mod keys;
mod standings;
mod vault;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shop_contracts::grpc::identity::v1 as pb;
use shop_contracts::grpc::identity::v1::identity_service_client::IdentityServiceClient;
use stanchion::auth::key::KeyRing;
use stanchion::auth::secret::Signer;
use stanchion::auth::{AccessTokens, Permissions, Principal, ServiceTokens};
use stanchion::client::{ClientSettings, GrpcChannel, SetupError};
use stanchion::eventsourcing::SealingKey;
use stanchion::resilience::policy::Policy;
use stanchion::resilience::{Moment, origin};
use stanchion::runtime::task::{Task, spawn};
use stanchion::server::AsService;
use stanchion::telemetry::Metrics;
use tokio::time::{Instant, timeout};
use tonic::service::interceptor::InterceptedService;
use tracing::subscriber::NoSubscriber;

use self::api_keys::ApiKeys;
use self::client_tokens::ClientTokens;
use self::keys::{KEYS_AGAIN, Keys};
use self::standings::Standings;
use super::way;
use crate::application::{Attempts, Remembered};

/// What a process may ask identity.
const SCOPE: &str = "identity:ask";

/// How long a question about a token may take that is no part of one request: more than an attempt, so that the policy
/// sees it fail.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

type Client = IdentityServiceClient<InterceptedService<GrpcChannel, AsService>>;

/// How identity is reached, and whose tokens it signs.
pub struct Elsewhere<'a> {
    /// The URL of the process that has identity: https, or http to a loopback address.
    pub url: &'a str,
    /// How it is called: policy, connections, TLS, discovery.
    pub client: &'a ClientSettings,
    /// The name of the asking service, 1 to 64 of `[a-z0-9-]`.
    pub service: &'a str,
    /// Signs who asks.
    pub tokens: ServiceTokens,
    /// Made of the secret that all processes share.
    pub signer: &'a Signer,
    /// `iss` of access tokens: the public URL.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// How often somebody may bring what is no API key.
    pub attempts: Attempts,
    /// Where the calls are counted.
    pub metrics: &'a Metrics,
}

/// Identity as the other processes have it: tokens are checked here, by keys and sessions that it tells.
///
/// It makes no connection before it is asked, and a process starts without it. While identity cannot be reached, access
/// tokens whose session is unknown here count as they are signed, until they expire, and so do clients' own; a session that
/// was known to have ended stays ended, and a token that was known to be void stays void. An API key is signed by nobody: while identity cannot be asked, keys are refused for the time
/// being. Whenever else it gives no answer, tokens are refused for the time being. Customers' keys are remembered as long as any process may, [`KEY_AGE_MAX`]; nothing can be sealed.
///
/// [`KEY_AGE_MAX`]: stanchion::eventsourcing::KEY_AGE_MAX
pub struct IdentityElsewhere {
    client: Client,
    channel: GrpcChannel,
    keys: Arc<Keys>,
    standings: Arc<Standings>,
    api_keys: ApiKeys,
    client_tokens: ClientTokens,
    way: SealingKey,
    counts: Remembered,
    remembered: Mutex<HashMap<String, (SealingKey, Instant)>>,
}

impl IdentityElsewhere {
    /// Identity at that URL.
    ///
    /// # Errors
    /// The URL, a certificate or the service's name cannot be used, or everybody on the way could read the tokens.
    pub fn at(elsewhere: Elsewhere<'_>) -> Result<Arc<Self>, SetupError> {
        let Elsewhere {
            url,
            client,
            service,
            tokens,
            signer,
            issuer,
            audience,
            attempts,
            metrics,
        } = elsewhere;
        let channel = GrpcChannel::new("identity", url, client, metrics)?;
        let channel = channel.describe(pb::DESCRIPTORS)?;
        if !channel.is_private() {
            let why = "tokens and keys go over https, or over http to a loopback address";
            return Err(SetupError::Url(why.into()));
        }
        let permissions = Permissions::parse(SCOPE).unwrap_or_default();
        let service = Principal::service(service, permissions)
            .map_err(|error| SetupError::Url(format!("the asking service: {error}")))?;
        let signed = AsService::signed(service, "identity", tokens);
        let client = IdentityServiceClient::with_interceptor(channel.clone(), signed);
        let tokens = AccessTokens::new(issuer, audience, Arc::new(KeyRing::default()));
        Ok(Arc::new(Self {
            keys: Keys::new(client.clone(), tokens),
            standings: Standings::new(client.clone()),
            api_keys: ApiKeys::new(client.clone(), attempts),
            client_tokens: ClientTokens::new(client.clone()),
            client,
            channel,
            way: way::key(signer),
            counts: Remembered::of(metrics),
            remembered: Mutex::default(),
        }))
    }

    /// The policy around the calls.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.channel.policy()
    }

    /// Whether identity answers.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), String> {
        let mut client = self.client.clone();
        let answer = client.get_key_set(pb::GetKeySetRequest {}).await;
        answer.map(drop).map_err(|status| status.to_string())
    }

    /// Keeps the signing keys as identity publishes them, until told to stop; in every role. They are asked for each second,
    /// or more often: a key that has leaked counts no longer than a session that was ended.
    pub async fn follow_keys(
        self: Arc<Self>,
        every: Duration,
        stop: tokio_util::sync::CancellationToken,
    ) {
        let every = every.min(KEYS_AGAIN);
        let mut were_told = true;
        loop {
            let told = detached("identity keys", {
                let keys = Arc::clone(&self.keys);
                async move { keys.load_in_time().await }
            });
            let told = told.await.unwrap_or_else(|failed| Err(failed.to_string()));
            log_change(&told, &mut were_told);
            self.count_remembered();
            if tokio::time::timeout(every, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }
}

impl IdentityElsewhere {
    fn count_remembered(&self) {
        let ring = self.keys.tokens.ring();
        let signatures = ("signatures", ring.remembered(), ring.remembered_max());
        let counted = self.standings.remembered().into_iter();
        let counted = counted.chain(self.client_tokens.remembered());
        for (what, count, max) in counted.chain([self.api_keys.remembered(), signatures]) {
            self.counts.are(what, count, max);
        }
    }
}

/// Once an outage, not once a second.
fn log_change(told: &Result<(), String>, were_told: &mut bool) {
    match told {
        Ok(()) if !*were_told => tracing::info!("identity tells its keys again"),
        Err(error) if *were_told => {
            tracing::warn!(%error, "identity does not tell its keys; the known ones stay");
        }
        _ => {}
    }
    *were_told = told.is_ok();
}

/// Runs `work` as a task of no request: it has neither the deadline nor the span of the one that happens to begin it.
fn detached<T: Send + 'static>(
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    tracing::subscriber::with_default(NoSubscriber::default(), || spawn(name, work))
}

/// Waits as long as the request being served may; `None` when its time ends first.
async fn in_own_time<T>(waiting: impl Future<Output = T>) -> Option<T> {
    let deadline = origin::deadline();
    if deadline.moment().is_none() {
        return Some(waiting.await);
    }
    timeout(deadline.left(Moment::now()), waiting).await.ok()
}

#[cfg(test)]
mod tests;
