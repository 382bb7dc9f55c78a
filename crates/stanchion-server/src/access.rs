use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::request::Parts;
use stanchion_auth::{Permission, Principal};

use crate::Problem;
use crate::context::Context;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; a token is not looked at.
    Public,
    /// Anybody; a token that is sent must be valid.
    Optional,
    /// Anybody with a valid token; whose object it is, the handler checks.
    Authenticated,
    /// Whoever holds this permission.
    Permission(&'static str),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Public => "public",
            Self::Optional => "public, or authenticated",
            Self::Authenticated => "authenticated",
            Self::Permission(name) => name,
        })
    }
}

/// The first argument of every handler: who may call it.
///
/// A handler without one does not compile:
///
/// ```compile_fail
/// use stanchion_server::{Answer, Routes, op};
/// async fn secrets() -> Answer<String> { Answer::ok("everybody's".into()) }
/// let routes: Routes = Routes::new().get("/secrets", op("Tell secrets", secrets));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not state who may call the handler",
    note = "the first argument is `Authorized<P>`, `Caller`, `Optional` or `Anyone`"
)]
pub trait StatesAccess: Sized + Send {
    /// What it states.
    const ACCESS: Access;

    /// The argument, once the caller has been let in.
    ///
    /// # Errors
    /// 401 or 403.
    fn of(principal: Option<&Principal>) -> Result<Self, Problem>;
}

/// The caller, who holds the permission `P`; anybody else gets 401 or 403.
#[derive(Clone, Debug)]
pub struct Authorized<P> {
    principal: Principal,
    permission: PhantomData<P>,
}

/// The caller, whoever it is; the handler checks whose object is asked for.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

/// The caller if there is one: no token is fine, a wrong one is 401.
#[derive(Clone, Debug)]
pub struct Optional(pub Option<Principal>);

/// No caller at all: the operation is public.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl<P: Permission> StatesAccess for Authorized<P> {
    const ACCESS: Access = Access::Permission(P::NAME);

    fn of(principal: Option<&Principal>) -> Result<Self, Problem> {
        let principal = principal.ok_or_else(Problem::unauthenticated)?;
        if principal.holds::<P>() {
            return Ok(Self {
                principal: principal.clone(),
                permission: PhantomData,
            });
        }
        Err(Problem::forbidden().with("permission", P::NAME))
    }
}

impl StatesAccess for Caller {
    const ACCESS: Access = Access::Authenticated;

    fn of(principal: Option<&Principal>) -> Result<Self, Problem> {
        principal
            .cloned()
            .map(Self)
            .ok_or_else(Problem::unauthenticated)
    }
}

impl StatesAccess for Optional {
    const ACCESS: Access = Access::Optional;

    fn of(principal: Option<&Principal>) -> Result<Self, Problem> {
        Ok(Self(principal.cloned()))
    }
}

impl StatesAccess for Anyone {
    const ACCESS: Access = Access::Public;

    fn of(_: Option<&Principal>) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<P> Deref for Authorized<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

/// The principal of a request that has passed authentication.
pub(crate) fn argument<A: StatesAccess>(parts: &Parts) -> Result<A, Problem> {
    A::of(Context::of(parts)?.principal())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        argument(parts)
    }
}
