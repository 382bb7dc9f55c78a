//! Registered clients: programs that get tokens, for themselves or for users.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion::auth::oauth::{OpaqueDigest, RedirectUri, Scopes};
use uuid::Uuid;

use super::{Refused, scope};

/// The most redirect URIs of one client.
pub(crate) const REDIRECT_URIS_MAX: usize = 10;

/// The longest name, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

/// Which client; `client_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientId(pub(crate) Uuid);

/// A way to get tokens (`grant_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    /// A user logs in and says yes.
    AuthorizationCode,
    /// New tokens for old ones.
    RefreshToken,
    /// The client for itself.
    ClientCredentials,
}

/// A registered client.
#[derive(Clone, Debug)]
pub(crate) struct RegisteredClient {
    pub(crate) id: ClientId,
    pub(crate) plan: ClientPlan,
    /// Of a confidential one.
    pub(crate) secret: Option<OpaqueDigest>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Since when it gets nothing any more.
    pub(crate) disabled_at: Option<Timestamp>,
}

/// What a client is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientPlan {
    /// What users are shown.
    pub(crate) name: String,
    /// It runs where nobody can read its secret.
    pub(crate) confidential: bool,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) flows: BTreeSet<Flow>,
    /// The most it may ask for.
    pub(crate) scopes: Scopes,
    /// It serves others with tokens of ours, so it may ask about all of them.
    pub(crate) resource_server: bool,
}

impl ClientPlan {
    /// Refuses what cannot work or would not be safe.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        let characters = self.name.chars().count();
        let plain = !self.name.chars().any(char::is_control) && self.name.trim() == self.name;
        let has = |flow| self.flows.contains(&flow);
        let refusals = [
            (
                !plain || !(1..=NAME_CHARACTERS_MAX).contains(&characters),
                "name: 1 to 100 characters, none of them control characters, no space around it",
            ),
            (self.flows.is_empty(), "grants: at least one"),
            (
                has(Flow::ClientCredentials) && !self.confidential,
                "grants: client_credentials is for confidential clients, because a public one proves nothing",
            ),
            (
                has(Flow::RefreshToken) && !has(Flow::AuthorizationCode),
                "grants: refresh_token goes with authorization_code",
            ),
            (
                has(Flow::AuthorizationCode) == self.redirect_uris.is_empty(),
                "redirect_uris: at least one for authorization_code, none without it",
            ),
            (
                self.redirect_uris.len() > REDIRECT_URIS_MAX,
                "redirect_uris: at most 10",
            ),
            (
                self.scopes.is_empty() && !self.resource_server,
                "scopes: at least one",
            ),
            (
                !self.scopes.iter().all(scope::is_known),
                "scopes: openid, profile, email, offline_access, shop, or names of permissions",
            ),
            (
                self.resource_server && !self.confidential,
                "resource_server: only a confidential client may ask about tokens",
            ),
        ];
        match refusals.into_iter().find(|(broken, _)| *broken) {
            Some((_, why)) => Err(Refused(why)),
            None => Ok(()),
        }
    }
}

impl RegisteredClient {
    pub(crate) fn register(plan: ClientPlan, id: ClientId, now: Timestamp) -> Self {
        Self {
            id,
            plan,
            secret: None,
            created_at: now,
            updated_at: now,
            disabled_at: None,
        }
    }

    pub(crate) fn may(&self, flow: Flow) -> bool {
        self.plan.flows.contains(&flow)
    }

    /// The redirect URI that is written exactly so.
    pub(crate) fn redirect_uri(&self, text: &str) -> Option<&RedirectUri> {
        let mut known = self.plan.redirect_uris.iter();
        known.find(|known| known.as_str() == text)
    }
}

impl Flow {
    pub(crate) const ALL: [Self; 3] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

impl FromStr for Flow {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|flow| flow.name() == text);
        found.ok_or(Refused(
            "grants: authorization_code, refresh_token, client_credentials",
        ))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id that is written exactly so.
impl FromStr for ClientId {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let mut written = Uuid::encode_buffer();
        let id = Uuid::parse_str(text).ok();
        let id = id.filter(|id| id.hyphenated().encode_lower(&mut written) == text);
        id.map(Self).ok_or(Refused("is not a client's id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> ClientPlan {
        ClientPlan {
            name: "App".into(),
            confidential: false,
            redirect_uris: vec!["https://app.example/done".parse().unwrap()],
            flows: BTreeSet::from([Flow::AuthorizationCode, Flow::RefreshToken]),
            scopes: "openid shop offline_access".parse().unwrap(),
            resource_server: false,
        }
    }

    #[test]
    fn a_plan_that_cannot_work_or_is_not_safe_is_refused() {
        assert_eq!(app().check(), Ok(()));
        let changes: [fn(&mut ClientPlan); 9] = [
            |plan| plan.name.clear(),
            |plan| plan.name = "App\u{1b}[31m".into(),
            |plan| plan.flows.clear(),
            |plan| {
                plan.flows.insert(Flow::ClientCredentials);
            },
            |plan| {
                plan.flows.remove(&Flow::AuthorizationCode);
            },
            |plan| plan.redirect_uris.clear(),
            |plan| plan.scopes = "openid phone".parse().unwrap(),
            |plan| plan.scopes = Scopes::default(),
            |plan| plan.resource_server = true,
        ];
        for (nth, change) in changes.into_iter().enumerate() {
            let mut plan = app();
            change(&mut plan);
            assert!(plan.check().is_err(), "change {nth}");
        }
    }

    #[test]
    fn a_redirect_uri_is_compared_as_it_is_written() {
        let client =
            RegisteredClient::register(app(), ClientId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        assert!(client.redirect_uri("https://app.example/done").is_some());
        for near in [
            "https://app.example/done/",
            "https://app.example/done?x=1",
            "https://app.example/Done",
            "https://APP.example/done",
            "https://app.example:443/done",
            "https://app.example/%64one",
            "https://app.example/x/../done",
            "https://app.example/done#",
            "https://app.example",
            "",
        ] {
            assert!(client.redirect_uri(near).is_none(), "{near}");
        }
    }
}
