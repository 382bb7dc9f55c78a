//! Who may do what with which object: policies in files, checked at start, decided without I/O.
//!
//! A permission answers for every object of a kind (`order:read`: anybody's order). What depends on the object (whose is it,
//! in which state) stands in a policy file, in a part of the [Cedar](https://www.cedarpolicy.com) language that fits a page:
//!
//! ```
//! use stanchion_auth::policy::{Kind, Policies, PolicyFile, Question, Resource, Vocabulary};
//! use stanchion_auth::{Permissions, Principal, Roles};
//!
//! stanchion_auth::permissions! {
//!     /// See anybody's orders.
//!     SeeOrders = "order:read";
//! }
//! let roles = Roles::new([("customer", &[][..]), ("staff", &["*:read"])])?;
//! let words = Vocabulary::new()
//!     .roles(&roles)
//!     .resource("Order", [("owner", Kind::entity("User"))])
//!     .action::<SeeOrders>(["Order"]);
//! let text = r#"
//!     @id("own orders")
//!     permit (principal is User, action == Action::"order:read", resource is Order)
//!     when { resource.owner == principal };
//! "#;
//! let policies = PolicyFile::parse("shop.cedar", text, &words)?;
//!
//! let [ada, session] = [1, 2].map(uuid::Uuid::from_u128);
//! let caller = Principal::user(ada, session, Permissions::none());
//! let order = Resource::new("Order", 7).with("owner", stanchion_auth::policy::Entity::user(ada));
//! let asked = Question::new::<SeeOrders>(&caller, &order);
//! let decision = policies.decide(&asked);
//! assert!(decision.allowed, "{decision}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What decides
//! 1. A question whose resource is not as the vocabulary describes it is denied.
//! 2. A `forbid` that applies denies, whatever else there is.
//! 3. The permission of the action's name allows, by whatever role or wildcard it is held.
//! 4. A `permit` that applies allows.
//! 5. Everything else is denied.
//!
//! A role is one that the principal has, by its token. Roles that only [bind](crate::Principal::bound_by) somebody (an API key,
//! an OAuth client: whoever acts for a user and may less) count against it alone: it is allowed what is allowed with them *and*
//! without them, so it escapes no `forbid`, and neither a `permit` nor an exception (`unless { principal in Role::"senior" }`)
//! gives it what its scopes do not say. Policies are read once, at start.
//!
//! # The language
//! ```text
//! @id("name")                                  required, and the name of one policy only
//! permit | forbid (
//!     principal [is TYPE] [in Role::"ROLE"] | principal == TYPE::"ID",
//!     action    [== Action::"NAME" | in [Action::"NAME", …]],
//!     resource  [is TYPE] | resource == TYPE::"ID"
//! )
//! when { CONDITION } unless { CONDITION } … ;   all must hold; // begins a comment
//!
//! CONDITION:  true false 12 "text" TYPE::"ID" [a, b]   principal action resource   principal.NAME resource.NAME
//!             !a  a && b  a || b  == != < <= > >=   resource has NAME   resource is TYPE   principal in Role::"ROLE"
//!             [a, b].contains(c)   resource.NAME.contains(c)
//! ```
//! Each file of it means the same to Cedar itself, which decides instead with the feature `authz-cedar` (`CedarPolicies`).
//! Whoever outgrows this part goes there without writing anything anew.

#[cfg(feature = "authz-cedar")]
mod cedar;
mod check;
mod decision;
mod evaluate;
mod fault;
mod file;
mod lex;
mod parse;
mod tree;
mod types;
mod value;
mod vocabulary;

#[cfg(feature = "authz-cedar")]
pub use cedar::CedarPolicies;
pub use decision::{Decision, PolicyName, Reason};
pub use fault::{PolicyFault, PolicyFaults};
pub use file::{PolicyFile, Summary};
pub use value::{Entity, Kind, Resource, Value};
pub use vocabulary::Vocabulary;

use crate::{Permission, Principal};

/// The largest policy file, in bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// The most policies in a file.
pub const POLICIES_MAX: usize = 256;

/// The deepest nesting of a condition.
pub const DEPTH_MAX: usize = 16;

/// The most operators, names and literals in one policy.
pub const NODES_MAX: usize = 256;

/// The most faults that are listed; what follows is said to be more.
pub const FAULTS_MAX: usize = 64;

/// Whether somebody may do something to something.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What for: the name of a permission.
    pub action: &'a str,
    /// With what.
    pub resource: &'a Resource,
}

/// What decides about single objects: [`PolicyFile`], or `CedarPolicies` behind the feature `authz-cedar`.
///
/// Deciding is pure: the same question has the same answer until the process ends. What cannot be decided is denied.
pub trait Policies: std::fmt::Debug + Send + Sync {
    /// The decision, and why.
    fn decide(&self, question: &Question<'_>) -> Decision;
}

impl<'a> Question<'a> {
    /// Whether the principal may do `P` to the resource.
    #[must_use]
    pub fn new<P: Permission>(principal: &'a Principal, resource: &'a Resource) -> Self {
        Self {
            principal,
            action: P::NAME,
            resource,
        }
    }
}

#[cfg(test)]
mod tests;
