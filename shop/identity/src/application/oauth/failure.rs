use stanchion::auth::oauth::Refused;
use stanchion::auth::token::IssueError;

use crate::application::Failure;

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OAuthFailure {
    /// What a protocol's error says.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<IssueError> for OAuthFailure {
    fn from(error: IssueError) -> Self {
        Self::Failed(error.into())
    }
}
