use std::fmt;
use std::sync::Arc;

/// Whether it may be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// What decided; when denied for want of a permit, all that would have allowed it.
    pub reasons: Vec<Reason>,
}

/// What decided, or what was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The permission is held by this name, the same or a wildcard.
    Holds {
        /// The action's permission.
        permission: String,
        /// As the principal holds it.
        by: String,
    },
    /// A `permit` applies.
    Permits(PolicyName),
    /// A `forbid` applies: it wins over everything.
    Forbids(PolicyName),
    /// The permission is not held.
    Lacks(String),
    /// A `permit` is about this question, but a condition of it does not hold.
    Unmet {
        /// The policy.
        policy: PolicyName,
        /// The condition, as it is written.
        condition: String,
    },
    /// The question is not as the vocabulary has it: a mistake of whoever asks, always denied.
    Misfit(String),
}

/// A policy, by its `@id` and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyName {
    /// Its `@id`.
    pub id: Arc<str>,
    /// The name of its file.
    pub file: Arc<str>,
    /// The line it begins in, from 1; 0 if it is not known.
    pub line: usize,
}

impl Decision {
    pub(crate) fn allowed(reason: Reason) -> Self {
        Self {
            allowed: true,
            reasons: vec![reason],
        }
    }

    pub(crate) fn denied(reasons: Vec<Reason>) -> Self {
        Self {
            allowed: false,
            reasons,
        }
    }
}

/// `allowed` or `denied`, then a reason a line.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allowed { "allowed" } else { "denied" })?;
        self.reasons
            .iter()
            .try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { permission, by } if permission == by => {
                write!(f, "holds the permission {permission}")
            }
            Self::Holds { permission, by } => {
                write!(f, "holds the permission {permission}, as {by}")
            }
            Self::Permits(policy) => write!(f, "permitted by {policy}"),
            Self::Forbids(policy) => write!(f, "forbidden by {policy}"),
            Self::Lacks(permission) => write!(f, "lacks the permission {permission}"),
            Self::Unmet { policy, condition } => {
                write!(f, "not permitted by {policy}: {condition} does not hold")
            }
            Self::Misfit(what) => write!(f, "the question is wrong: {what}"),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, file, line } = self;
        match line {
            0 => write!(f, "{id:?} ({file})"),
            _ => write!(f, "{id:?} ({file}:{line})"),
        }
    }
}
