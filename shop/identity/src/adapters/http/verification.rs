//! `/auth/verification`: whether an address is its user's.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::Metadata;
use stanchion::server::{
    Answer, Anyone, Body, Caller, Problem, RequestContext, Routes, ToSchema, Validate, Violations,
    codes, op,
};

use super::auth::Settled;
use super::metadata::{caused_by, stamped, user_of};
use super::problem::{MAIL_OFF, USER_NOT_FOUND};
use super::recovery::AskedView;
use crate::application::Identity;

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .get(
            "/auth/verification",
            op("See whether the caller's address is verified", get_verification)
                .errors(&[USER_NOT_FOUND, codes::FORBIDDEN]),
        )
        .post(
            "/auth/verification",
            op("Verify an e-mail address", verify)
                .about("With the token of the mail that registering or asking for one has sent; good for one use within an hour, and for the address it was sent to.")
                .errors(&[codes::RATE_LIMITED])
                .settled(),
        )
        .post(
            "/auth/verification/mail",
            op("Ask for another verification mail", ask_verification)
                .about("The answer is the same when the address is verified already; nothing is sent then.")
                .status(202)
                .errors(&[USER_NOT_FOUND, codes::FORBIDDEN, codes::RATE_LIMITED, MAIL_OFF])
                .settled(),
        )
}

/// Whether an address is its user's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
struct VerificationView {
    #[schema(format = Email, max_length = 255)]
    email: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    verified_at: Option<Timestamp>,
}

/// The token of a verification mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    #[schema(value_type = String, example = "ot_9Jb1…")]
    token: SecretString,
}

impl Validate for TokenBody {
    fn validate(&self, _: &mut Violations) {}
}

async fn get_verification(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
) -> Result<Answer<VerificationView>, Problem> {
    let user = identity.user(user_of(&caller)?).await?;
    let verified_at = identity.verified_at(&user).await?;
    Ok(Answer::ok(VerificationView {
        email: user.profile.email.as_str().to_owned(),
        verified: verified_at.is_some(),
        verified_at,
    }))
}

async fn verify(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    Body(body): Body<TokenBody>,
) -> Result<Answer, Problem> {
    let token = body.token.expose_secret();
    let attempt = identity.attempts.token(context.remote()).await?;
    let written = identity.verify_email(token, &Metadata::new(None)).await;
    let written = attempt.settled(written).await?;
    Ok(stamped(Answer::no_content(), &identity, &written))
}

async fn ask_verification(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
) -> Result<Answer<AskedView>, Problem> {
    let (user, metadata) = (user_of(&caller)?, caused_by(&caller));
    identity
        .ask_verification(user, context.remote(), &metadata)
        .await?;
    Ok(AskedView::answer())
}
