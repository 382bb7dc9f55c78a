use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};
use stanchion_client::{ExposeSecret, SecretString};

use crate::api::data;
use crate::{Session, ShopClient, ShopError};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The id.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// The name for logging in.
    pub username: String,
    /// If it was told.
    pub first_name: Option<String>,
    /// If it was told.
    pub last_name: Option<String>,
    /// `customer`, `staff`, `admin`.
    pub roles: Vec<String>,
}

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The e-mail address.
    pub email: String,
    /// 3 to 30 letters and digits.
    pub username: String,
    /// 8 to 256 characters.
    pub password: SecretString,
}

/// The password as it goes over the wire, and nowhere else.
#[derive(Serialize)]
struct Registration<'a> {
    email: &'a str,
    username: &'a str,
    password: &'a str,
}

impl ShopClient {
    /// Makes an account.
    ///
    /// # Errors
    /// `EMAIL_TAKEN`, `USERNAME_TAKEN`, `VALIDATION_FAILED`, and what any call can end with.
    pub async fn register(&self, new: &NewUser) -> Result<User, ShopError> {
        let registration = Registration {
            email: &new.email,
            username: &new.username,
            password: new.password.expose_secret(),
        };
        let call = self.call(Method::POST, "/users").json(&registration);
        data(&call.send().await?)
    }
}

impl Session {
    /// Whose session it is.
    ///
    /// # Errors
    /// [`ShopError`]
    pub async fn me(&self) -> Result<User, ShopError> {
        let answer = self.send(|shop| shop.get("/users/me")).await?;
        data(&answer)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.username)
    }
}
