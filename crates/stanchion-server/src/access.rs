use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::request::Parts;
use stanchion_auth::policy::{Policies, Question, Reason, Resource};
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
    /// Anybody with a valid token; what it shows is the caller's own.
    Authenticated,
    /// Anybody with a valid token whom policies allow this permission on the very object.
    Guarded(&'static str),
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
            Self::Guarded(name) => return f.pad(&format!("policy({name})")),
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
    note = "the first argument is `Authorized<P>`, `Guarded<P>`, `Caller`, `Optional` or `Anyone`"
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

/// The caller of an operation on a single object: whether `P` is allowed on that one, policies decide.
///
/// Anybody with a valid token gets here. The handler reads the object, describes it, and asks [`may`](Self::may); what it
/// answers without having asked is withheld (500, an error in the log), so that nobody can forget to.
#[derive(Clone, Debug)]
pub struct Guarded<P> {
    principal: Principal,
    permission: PhantomData<P>,
}

/// The caller, whoever it is: for what is the caller's own by its path.
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

impl<P: Permission> Guarded<P> {
    /// Whether the caller may do `P` to this object; counted in `stanchion_server_policy_decisions_total`.
    ///
    /// # Errors
    /// 403 with the permission. Where a caller must not learn that the object exists, answer 404 instead.
    pub fn may(&self, policies: &dyn Policies, object: &Resource) -> Result<(), Problem> {
        let decision = policies.decide(&Question::new::<P>(&self.principal, object));
        let misfit = |reason: &Reason| matches!(reason, Reason::Misfit(_));
        let is_misfit = decision.reasons.iter().any(misfit);
        if let Some(context) = Context::current() {
            context.policies_asked();
            let told = match decision.allowed {
                true => "allowed",
                false if is_misfit => "misfit",
                false => "denied",
            };
            context.lent.metrics.decided(P::NAME, told);
        }
        if decision.allowed {
            return Ok(());
        }
        let (subject, entity) = (&self.principal.subject, object.entity());
        if is_misfit {
            tracing::error!(%subject, action = P::NAME, object = %entity, %decision, "a question that no policy can decide");
        } else {
            tracing::debug!(%subject, action = P::NAME, object = %entity, %decision, "denied");
        }
        Err(Problem::forbidden().with("permission", P::NAME))
    }
}

impl<P: Permission> Guarded<P> {
    /// Whether the caller holds `P` on every object, so that a list need not be narrowed to some. No policy is asked, so
    /// no `forbid` either: it is about single objects.
    #[must_use]
    pub fn everywhere(&self) -> bool {
        let holds = self.principal.holds::<P>();
        if let Some(context) = Context::current().filter(|_| holds) {
            context.policies_asked();
        }
        holds
    }
}

impl<P: Permission> StatesAccess for Guarded<P> {
    const ACCESS: Access = Access::Guarded(P::NAME);

    fn of(principal: Option<&Principal>) -> Result<Self, Problem> {
        let principal = principal.cloned().ok_or_else(Problem::unauthenticated)?;
        Ok(Self {
            principal,
            permission: PhantomData,
        })
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

impl<P> Deref for Guarded<P> {
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
