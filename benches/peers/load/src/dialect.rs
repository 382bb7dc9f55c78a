//! Requests and answers on the wire.

use serde::Deserialize;
use serde_json::{Value, json};
use stanchion_load::{Failure, Request, Response};

use crate::plan::Dialect;
use crate::state::{Session, Tokens};

/// What an access token must have said to be good.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
}

/// The shop's own envelope.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

impl Dialect {
    /// Is this access token good? Asked by a client, or by being used.
    pub(crate) fn check(self, client: &str, session: &Session) -> Request {
        match self {
            Self::Peer | Self::Shop => Request::post("/oauth2/introspect")
                .authorization(client)
                .form(format!("token={}", session.access)),
            Self::Login => Request::get("/api/v1/users/me")
                .authorization(&format!("Bearer {}", session.access)),
        }
    }

    /// True when the token is good, false when it is refused as it should be.
    pub(crate) fn checked(self, answer: &Response) -> Result<bool, Failure> {
        let status = answer.status().as_u16();
        match (self, status) {
            (Self::Login, 200) => Ok(true),
            (Self::Login, 401) => Ok(false),
            (Self::Peer | Self::Shop, 200) => Ok(answer.json::<Introspection>()?.active),
            (_, other) => Err(Failure::Status(other)),
        }
    }

    /// A token for the client itself; with the shop's own login, a session for a user.
    pub(crate) fn issue(self, client: &str) -> Request {
        match self {
            Self::Peer | Self::Shop => Request::post("/oauth2/token")
                .authorization(client)
                .form("grant_type=client_credentials&scope=order%3Aread"),
            Self::Login => {
                Request::post("/api/v1/auth/login").body("application/json", client.to_owned())
            }
        }
    }

    pub(crate) fn issued(self, answer: Response) -> Result<String, Failure> {
        let answer = answer.expect(200)?;
        Ok(match self {
            Self::Peer | Self::Shop => answer.json::<Issued>()?.access_token,
            Self::Login => answer.json::<Data<Tokens>>()?.data.access_token,
        })
    }

    pub(crate) fn refresh(self, client: &str, refresh: &str) -> Request {
        match self {
            Self::Peer | Self::Shop => Request::post("/oauth2/token")
                .authorization(client)
                .form(format!("grant_type=refresh_token&refresh_token={refresh}")),
            Self::Login => {
                Request::post("/api/v1/auth/refresh").json(&json!({"refresh_token": refresh}))
            }
        }
    }

    pub(crate) fn refreshed(self, answer: Response) -> Result<Tokens, Failure> {
        let answer = answer.expect(200)?;
        Ok(match self {
            Self::Peer | Self::Shop => answer.json()?,
            Self::Login => answer.json::<Data<Tokens>>()?.data,
        })
    }

    /// Whether an answer refuses a refresh token for good, in the dialect's own words.
    pub(crate) fn refuses_refresh(self, answer: &Response) -> bool {
        let status = answer.status().as_u16();
        match self {
            Self::Peer | Self::Shop => {
                let body: Value = answer.json().unwrap_or_default();
                status == 400 && body["error"] == "invalid_grant"
            }
            Self::Login => status == 401,
        }
    }
}
