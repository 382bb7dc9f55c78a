use std::net::IpAddr;

use stanchion::auth::oauth::OAuthError;

use super::OAuthFailure;
use crate::application::Identity;

impl Identity {
    /// What comes of a request to the token endpoint, unless too much was wrong before that came from that address. What is
    /// right is not counted, and of a client that was met before it asks nobody as long as nothing from there was wrong.
    pub(crate) async fn limited<T>(
        &self,
        from: Option<IpAddr>,
        client: &str,
        request: impl Future<Output = Result<T, OAuthFailure>>,
    ) -> Result<T, OAuthFailure> {
        let attempt = match self.has_seen_client(client) {
            true => self.attempts.token(from).await?,
            // The store would have to be asked who it is.
            false => self.attempts.stranger(from).await?,
        };
        let done = request.await;
        if is_wrong(&done) {
            attempt.was_wrong().await?;
            self.attempts.wrong_token(client).await?;
        } else {
            attempt.was_right().await;
        }
        done
    }

    /// The same where it is asked thousands of times a second what a token is worth: a client that is known here and right
    /// about itself is told whatever others have tried from its address. Of any other name the store would have to be asked,
    /// and names without end are soon made up.
    pub(crate) async fn counted<T>(
        &self,
        from: Option<IpAddr>,
        client: &str,
        request: impl Future<Output = Result<T, OAuthFailure>>,
    ) -> Result<T, OAuthFailure> {
        if !self.has_seen_client(client) {
            return self.limited(from, client, request).await;
        }
        let done = request.await;
        if is_wrong(&done) {
            self.attempts.wrong_from(from).await?;
            self.attempts.wrong_token(client).await?;
        }
        done
    }
}

/// A secret, a code or a token that is not one.
fn is_wrong<T>(done: &Result<T, OAuthFailure>) -> bool {
    let Err(OAuthFailure::Refused(refused)) = done else {
        return false;
    };
    matches!(
        refused.error,
        OAuthError::InvalidClient | OAuthError::InvalidGrant
    )
}
