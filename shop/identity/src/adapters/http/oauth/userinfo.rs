//! `/oauth2/userinfo`.

use std::sync::Arc;

use axum::extract::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode, Uri};
use serde::Serialize;
use shop_kernel::UserId;
use stanchion::auth::oauth::OAuthError;
use stanchion::server::{Anyone, Describe, Description, Routes, ToSchema, Verbatim, op};

use super::answer::{ErrorView, Refusal};
use super::paths;
use crate::application::Identity;
use crate::application::oauth::UserInfo;

/// What a client is told of a user (OpenID Connect Core, 5.1).
#[derive(Serialize, ToSchema)]
#[schema(as = UserInfo)]
pub(super) struct UserInfoView {
    sub: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

/// The access token in `Authorization`, which is nowhere else looked for.
struct Bearer(Option<String>);

pub(super) fn routes() -> Routes<Arc<Identity>> {
    let about =
        "With an access token whose user granted `openid`; `profile` and `email` add their claims.";
    let operation = || {
        op("See who the user is", userinfo)
            .about(about)
            .status(200)
            .status(400)
            .status(401)
            .status(403)
            .status(503)
    };
    Routes::new()
        .get(paths::USERINFO, operation())
        .post(paths::USERINFO, operation().id("post_userinfo"))
}

async fn userinfo(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    uri: Uri,
    bearer: Bearer,
) -> Verbatim<UserInfoView, ErrorView> {
    let told = async {
        if uri.query().is_some_and(|query| !query.is_empty()) {
            let refused = OAuthError::InvalidRequest;
            return Err(Refusal::from(
                refused.because("a token is never read from the URL"),
            ));
        }
        let none = OAuthError::InvalidToken.because("there is no access token");
        let token = bearer.0.ok_or(none)?;
        Ok(identity.userinfo(&token).await?)
    };
    match told.await {
        Ok(told) => Verbatim::json(StatusCode::OK, &UserInfoView::from(told)),
        Err(refusal) => refusal.answer(),
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Bearer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(bearer(&parts.headers)))
    }
}

impl Describe for Bearer {
    fn describe(description: &mut Description) {
        let about = "`Bearer` and the access token.";
        let text = serde_json::json!({"type": "string"});
        description.header("Authorization", true, about, text);
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let alone = values.next().is_none();
    (alone && scheme.eq_ignore_ascii_case("bearer")).then(|| token.to_owned())
}

impl From<UserInfo> for UserInfoView {
    fn from(told: UserInfo) -> Self {
        let profile = told.profile.as_ref();
        let part = |name: Option<&crate::domain::Name>| name.map(|name| name.as_str().to_owned());
        let given_name = profile.and_then(|profile| part(profile.first_name.as_ref()));
        let family_name = profile.and_then(|profile| part(profile.last_name.as_ref()));
        let both: Vec<_> = [&given_name, &family_name]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        Self {
            sub: told.user,
            preferred_username: profile.map(|profile| profile.username.as_str().to_owned()),
            name: (!both.is_empty()).then(|| both.join(" ")),
            given_name,
            family_name,
            email: told.email,
        }
    }
}
