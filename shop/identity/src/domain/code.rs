//! Authorization codes: good for one minute, one client, one redirect URI, one verifier and one use.

use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::oauth::{Challenge, OpaqueDigest, RedirectUri, Scopes};

use super::{ClientId, SessionId};

/// How long a code lives (RFC 6749, 4.1.2 says ten minutes at most; ASVS 10.4.6 one).
pub(crate) const CODE_TTL: SignedDuration = SignedDuration::from_secs(60);

/// A code as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) hash: OpaqueDigest,
    pub(crate) client: ClientId,
    pub(crate) user: UserId,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) scopes: Scopes,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Challenge,
    /// Of the password's hash at the login: another password since voids the code.
    pub(crate) credentials: [u8; 32],
    /// The user's at the login: whatever was taken from the user since voids the code. `None`: by a release that did not say.
    pub(crate) epoch: Option<i64>,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// What it became, once it was used.
    pub(crate) session: Option<SessionId>,
}

/// What a session of a client was granted by its user. It never changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientGrant {
    pub(crate) session: SessionId,
    pub(crate) client: ClientId,
    pub(crate) user: UserId,
    pub(crate) scopes: Scopes,
    pub(crate) authenticated_at: Timestamp,
}

/// What a client presents for a code.
pub(crate) struct Redemption<'a> {
    pub(crate) client: ClientId,
    pub(crate) redirect_uri: &'a str,
    pub(crate) verifier: &'a str,
}

/// What to do about a presented code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// Begin a session.
    Exchange,
    /// It was used before: end what it became.
    Replayed(SessionId),
    /// Nothing.
    Refused(&'static str),
}

impl Code {
    /// Whose code it is comes first: nobody but its client can end the session by a replay.
    pub(crate) fn redeem(&self, by: &Redemption<'_>, now: Timestamp) -> Redeemed {
        if self.client != by.client {
            return Redeemed::Refused("the code is not valid");
        }
        if let Some(session) = self.session {
            return Redeemed::Replayed(session);
        }
        if now >= self.expires_at {
            return Redeemed::Refused("the code is not valid");
        }
        if self.redirect_uri.as_str() != by.redirect_uri {
            return Redeemed::Refused(
                "redirect_uri is not the one that the code was asked for with",
            );
        }
        if !self.challenge.is_met_by(by.verifier) {
            return Redeemed::Refused("code_verifier does not meet the challenge");
        }
        Redeemed::Exchange
    }
}

#[cfg(test)]
mod tests {
    use stanchion::auth::oauth::{OpaqueToken, Prefix};
    use uuid::Uuid;

    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const DONE: &str = "https://app.example/done";

    fn code() -> Code {
        Code {
            hash: OpaqueToken::generate(Prefix::CODE).digest(),
            client: ClientId(Uuid::from_u128(1)),
            user: UserId(Uuid::from_u128(2)),
            redirect_uri: DONE.parse().unwrap(),
            scopes: Scopes::default(),
            nonce: None,
            challenge: Challenge::of(Some(CHALLENGE), Some("S256")).unwrap(),
            credentials: [0; 32],
            epoch: None,
            authenticated_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH + CODE_TTL,
            session: None,
        }
    }

    fn redeemed(
        code: &Code,
        client: u128,
        redirect_uri: &str,
        verifier: &str,
        after: i64,
    ) -> Redeemed {
        let by = Redemption {
            client: ClientId(Uuid::from_u128(client)),
            redirect_uri,
            verifier,
        };
        code.redeem(
            &by,
            Timestamp::UNIX_EPOCH + SignedDuration::from_secs(after),
        )
    }

    #[test]
    fn a_code_is_good_for_its_client_place_verifier_and_minute() {
        let code = code();
        assert_eq!(redeemed(&code, 1, DONE, VERIFIER, 59), Redeemed::Exchange);
        for (client, place, verifier, after) in [
            (9, DONE, VERIFIER, 0),
            (1, "https://app.example/done/", VERIFIER, 0),
            (1, "", VERIFIER, 0),
            (1, DONE, CHALLENGE, 0),
            (1, DONE, "", 0),
            (1, DONE, VERIFIER, 60),
        ] {
            let refused = redeemed(&code, client, place, verifier, after);
            assert!(
                matches!(refused, Redeemed::Refused(_)),
                "{place} {verifier} {after}"
            );
        }
    }

    #[test]
    fn a_second_use_ends_what_the_first_became_whatever_else_is_wrong_with_it() {
        let session = SessionId(Uuid::from_u128(7));
        let used = Code {
            session: Some(session),
            ..code()
        };
        let replayed = Redeemed::Replayed(session);
        assert_eq!(redeemed(&used, 1, DONE, VERIFIER, 0), replayed);
        assert_eq!(redeemed(&used, 1, "", "", 99_999), replayed);
        assert!(matches!(
            redeemed(&used, 9, DONE, VERIFIER, 0),
            Redeemed::Refused(_)
        ));
    }
}
