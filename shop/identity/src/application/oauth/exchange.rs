use shop_kernel::UserId;
use stanchion::auth::oauth::{OAuthError, OpaqueToken, Prefix, Refused};
use stanchion::auth::refresh::{Family, Lifetimes, RefreshToken};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::SqlError;

use super::authorize::fingerprint;
use super::{Issued, OAuthFailure};
use crate::application::ports::{LoggedIn, Which, Who};
use crate::application::work::{Work, retried};
use crate::application::{Failure, Identity};
use crate::domain::code::{Redeemed, Redemption};
use crate::domain::{
    Client, ClientGrant, ClientId, Code, Event, Flow, RegisteredClient, RoleSet, SessionEnd,
    SessionId, scope,
};

const NOT_VALID: Refused = OAuthError::InvalidGrant.because("the code is not valid");

/// What a client presents for tokens of a user.
pub(crate) struct Exchange<'a> {
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) verifier: &'a str,
    /// From where.
    pub(crate) from: Client,
}

/// What a transaction made of a presented code; also a refusal may have something to commit.
enum Outcome {
    Begun(Box<Begun>),
    /// What the code had become has ended with this transaction.
    Replayed(Vec<SessionId>),
    Refused(&'static str),
}

/// A session that a code became.
struct Begun {
    grant: ClientGrant,
    roles: RoleSet,
    refresh: RefreshToken,
    nonce: Option<String>,
    /// Those that were too many by it.
    ended: Vec<SessionId>,
}

impl Identity {
    /// Exchanges a code, once. A second use ends the session that the first began, whoever was first.
    pub(crate) async fn exchange(
        &self,
        client: &RegisteredClient,
        exchange: Exchange<'_>,
        metadata: &Metadata,
    ) -> Result<Issued, OAuthFailure> {
        if !client.may(Flow::AuthorizationCode) {
            let refused = OAuthError::UnauthorizedClient;
            return Err(refused.because("not one of this client's grants").into());
        }
        let token = OpaqueToken::parse(Prefix::CODE, exchange.code).ok_or(NOT_VALID)?;
        let redeemed = retried(|| self.redeem(client, &token, &exchange, metadata));
        match redeemed.await? {
            Outcome::Begun(begun) => {
                self.live.forget(&begun.ended);
                Ok(self.hand_out_granted(*begun)?)
            }
            Outcome::Replayed(ended) => {
                self.live.forget(&ended);
                let client_id = client.id;
                tracing::warn!(%client_id, "an authorization code was used twice: its session has ended");
                Err(NOT_VALID.into())
            }
            Outcome::Refused(why) => Err(OAuthError::InvalidGrant.because(why).into()),
        }
    }

    async fn redeem(
        &self,
        client: &RegisteredClient,
        token: &OpaqueToken,
        exchange: &Exchange<'_>,
        metadata: &Metadata,
    ) -> Result<Outcome, Failure> {
        let work = Work::begin(&self.db, metadata);
        let found = self.oauth.codes.find(work.rows(), &token.digest()).await?;
        let Some(code) = found else {
            return Ok(Outcome::Refused(NOT_VALID.why));
        };
        let redemption = Redemption {
            client: client.id,
            redirect_uri: exchange.redirect_uri,
            verifier: exchange.verifier,
        };
        match code.redeem(&redemption, clock::now()) {
            Redeemed::Exchange => self.begin_granted(work, &code, &exchange.from).await,
            Redeemed::Replayed(session) => self.end_replayed(work, &code, session).await,
            Redeemed::Refused(why) => Ok(Outcome::Refused(why)),
        }
    }

    /// Begins the session of a code whose user is still who logged in for it, and of whom nothing was taken since.
    async fn begin_granted(
        &self,
        mut work: Work<'_>,
        code: &Code,
        from: &Client,
    ) -> Result<Outcome, Failure> {
        let now = clock::now();
        let current = self.users.credentials(work.rows(), Who::Id(code.user));
        let current = current.await?;
        let Some(current) = current.filter(|now| fingerprint(&now.password) == code.credentials)
        else {
            return Ok(Outcome::Refused(NOT_VALID.why));
        };
        // Locks the user's row, as a login does: a suspension comes wholly before or after, and so does a logout everywhere.
        let noted = self.users.note_login(work.rows(), &current, None, now);
        let is_same = |user: &LoggedIn| code.epoch.is_none_or(|epoch| epoch == user.epoch);
        let Some(LoggedIn { roles, .. }) = noted.await?.filter(is_same) else {
            return Ok(Outcome::Refused(NOT_VALID.why));
        };
        let lifetimes = self.lifetimes_of(code);
        let (family, refresh, row) = Family::begin(code.user.0, now, &lifetimes);
        let ended = self.insert_session(&mut work, &family, &row, from).await?;
        let grant = ClientGrant {
            session: SessionId(family.id),
            client: code.client,
            user: code.user,
            scopes: code.scopes.clone(),
            authenticated_at: code.authenticated_at,
        };
        let codes = &self.oauth.codes;
        codes.grant(work.rows(), &grant).await?;
        // The statement decides, not what was read before it.
        if !codes
            .mark_used(work.rows(), &code.hash, grant.session)
            .await?
        {
            return Err(SqlError::Serialization("the code was used meanwhile".into()).into());
        }
        work.commit().await?;
        Ok(Outcome::Begun(Box::new(Begun {
            grant,
            roles,
            refresh,
            nonce: code.nonce.clone(),
            ended,
        })))
    }

    async fn end_replayed(
        &self,
        mut work: Work<'_>,
        code: &Code,
        session_id: SessionId,
    ) -> Result<Outcome, Failure> {
        let (user, client_id): (UserId, ClientId) = (code.user, code.client);
        work.record(&Event::CodeReplayed {
            session_id,
            client_id,
        })?;
        let which = Which::One(session_id);
        self.end(&mut work, user, which, SessionEnd::CodeReplayed)
            .await?;
        work.commit().await?;
        Ok(Outcome::Replayed(vec![session_id]))
    }

    /// Without a refresh token a session is over when its access token is.
    fn lifetimes_of(&self, code: &Code) -> Lifetimes {
        if code.scopes.has(scope::OFFLINE) {
            return self.lifetimes.clone();
        }
        Lifetimes {
            idle: self.tokens.ttl(),
            family: self.tokens.ttl(),
        }
    }

    fn hand_out_granted(&self, begun: Begun) -> Result<Issued, OAuthFailure> {
        let Begun {
            grant,
            roles,
            refresh,
            nonce,
            ..
        } = begun;
        let scopes = grant.scopes.clone();
        let id_token = match scopes.has(scope::OPENID) {
            true => Some(self.id_token(&grant, nonce.as_deref())?),
            false => None,
        };
        Ok(Issued {
            access: self.user_token(&grant, &scopes, &roles)?,
            expires_in: self.tokens.ttl(),
            refresh: scopes.has(scope::OFFLINE).then_some(refresh),
            scopes,
            id_token,
        })
    }
}
