//! `/auth/password/reset`: a new password for whoever forgot the old one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::Metadata;
use stanchion::resilience::Moment;
use stanchion::resilience::rate::{KeyedRate, RateSettings};
use stanchion::server::{
    Answer, Anyone, Body, Problem, RequestContext, Routes, ToSchema, Validate, Violations, codes,
    op,
};

use super::auth::Settled;
use super::metadata::stamped;
use super::problem::MAIL_OFF;
use super::views::noted;
use crate::application::Identity;
use crate::domain::password;

/// Of one network address: so many wishes at once, and one a minute after them. What an account is sent is bounded
/// where mails are written.
const ASKS_AT_ONCE: u32 = 10;
const ASKS_PER_SECOND: f64 = 1.0 / 60.0;

/// Bits of an IPv6 address that stand for one household; the others are free to choose for whoever lives there.
const HOUSEHOLD_BITS: u32 = 64;

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            "/auth/password/reset",
            op("Ask for a new password", ask_reset)
                .about("A mail with a token goes to the address if there is such a user. The answer is the same if there is none.")
                .status(202)
                .errors(&[codes::RATE_LIMITED, codes::OVERLOADED, MAIL_OFF])
                .settled(),
        )
        .post(
            "/auth/password/reset/confirmation",
            op("Choose a new password", confirm_reset)
                .about("With the token of that mail; good for one use within 30 minutes. Every session of the user ends.")
                .errors(&[codes::OVERLOADED])
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

/// How often a network address may ask; of each process, so with several a little more.
pub(crate) fn asks() -> KeyedRate<IpAddr> {
    KeyedRate::new(&RateSettings {
        per_second: ASKS_PER_SECOND,
        burst: ASKS_AT_ONCE,
        ..RateSettings::default()
    })
}

async fn ask_reset(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    context: RequestContext,
    Body(body): Body<ResetBody>,
) -> Result<Answer<AskedView>, Problem> {
    if let Some(remote) = context.remote() {
        let allowed = identity.asks.check(&household(remote), Moment::now(), 1);
        allowed.map_err(|refusal| {
            let problem = codes::RATE_LIMITED.problem();
            match refusal.retry_after() {
                Some(wait) => problem.retry_after(wait),
                None => problem,
            }
        })?;
    }
    identity
        .ask_reset(&body.email, &Metadata::new(None))
        .await?;
    Ok(AskedView::answer())
}

async fn confirm_reset(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    Body(body): Body<ConfirmationBody>,
) -> Result<Answer, Problem> {
    let token = body.token.expose_secret();
    let metadata = Metadata::new(None);
    let written = identity
        .reset_password(token, &body.new_password, &metadata)
        .await?;
    Ok(stamped(Answer::no_content(), &identity, &written))
}

fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> HOUSEHOLD_BITS << HOUSEHOLD_BITS;
            IpAddr::V6(bits.into())
        }
    }
}
