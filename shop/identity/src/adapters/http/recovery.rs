//! `/auth/password/reset`: a new password for whoever forgot the old one.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::Metadata;
use stanchion::server::{
    Answer, Anyone, Body, Problem, RequestContext, Routes, ToSchema, Validate, Violations, codes,
    op,
};

use super::auth::{Settled, client, known_from_now_on};
use super::metadata::stamped;
use super::problem::MAIL_OFF;
use super::views::noted;
use crate::application::Identity;
use crate::domain::password;

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            "/auth/password/reset",
            op("Ask for a new password", ask_reset)
                .about("A mail with a token goes to the address if there is such a user who has not chosen it within the last 7 days. The answer is the same if there is none.")
                .status(202)
                .errors(&[codes::RATE_LIMITED, codes::OVERLOADED, MAIL_OFF])
                .settled(),
        )
        .post(
            "/auth/password/reset/confirmation",
            op("Choose a new password", confirm_reset)
                .about("With the token of that mail; good for one use within 30 minutes. Every session of the user ends, and Device-Tokens from before are good for nothing any more; the answer has a new one.")
                .errors(&[codes::RATE_LIMITED, codes::OVERLOADED])
                .settled(),
        )
}

/// Who forgot a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// The address that the account was registered with.
    #[schema(format = Email, min_length = 1, max_length = 255, example = "ada@example.com")]
    email: String,
}

/// A password in place of a forgotten one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmationBody {
    #[schema(value_type = String, example = "ot_9Jb1…")]
    token: SecretString,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    new_password: SecretString,
}

/// What was asked for is under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asked)]
pub(super) struct AskedView {
    /// The same whatever becomes of it.
    #[schema(example = "A mail is sent if there is reason to.")]
    message: &'static str,
}

impl AskedView {
    pub(super) fn answer() -> Answer<Self> {
        let message = "A mail is sent if there is reason to.";
        Answer::ok(Self { message }).with_status(StatusCode::ACCEPTED)
    }
}

impl Validate for ResetBody {
    fn validate(&self, violations: &mut Violations) {
        violations.length("email", &self.email, 1, 255);
    }
}

impl Validate for ConfirmationBody {
    const UNTRIMMED: &'static [&'static str] = &["new_password"];

    fn validate(&self, violations: &mut Violations) {
        noted(
            violations,
            "new_password",
            password::check(&self.new_password),
        );
    }
}

async fn ask_reset(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    Body(body): Body<ResetBody>,
) -> Result<Answer<AskedView>, Problem> {
    let metadata = Metadata::new(None);
    identity
        .ask_reset(&body.email, context.remote(), &metadata)
        .await?;
    Ok(AskedView::answer())
}

async fn confirm_reset(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    headers: HeaderMap,
    Body(body): Body<ConfirmationBody>,
) -> Result<Answer, Problem> {
    let token = body.token.expose_secret();
    let metadata = Metadata::new(None);
    let attempt = identity.attempts.token(context.remote()).await?;
    let client = client(None, &headers, &context);
    let written = identity
        .reset_password(token, &body.new_password, &client, &metadata)
        .await;
    let written = attempt.settled(written).await?;
    let answer = known_from_now_on(Answer::no_content(), written.value.as_deref());
    Ok(stamped(answer, &identity, &written))
}
