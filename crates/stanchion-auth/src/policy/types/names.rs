//! Names that policies speak of: which there are, and what is said of others.

use super::super::Vocabulary;
use super::super::value::{CLIENT, SERVICE, USER};
use super::{ACTION, ROLE};
use crate::Subject;
use crate::principal::exact_uuid;

/// Why there is no such thing as far as policies know, if so.
pub(crate) fn unknown(words: &Vocabulary, kind: &str, id: &str) -> Option<String> {
    match kind {
        ROLE if words.roles.contains(id) => None,
        ROLE => {
            let known: Vec<_> = words.roles.names().collect();
            Some(format!(
                "there is no role {id:?}; there are {}",
                listed(&known)
            ))
        }
        ACTION if words.actions.contains_key(id) => None,
        ACTION => {
            let known: Vec<_> = words.actions().collect();
            let listed = listed(&known);
            Some(format!(
                "no policy is asked about the action {id:?}; there are {listed}"
            ))
        }
        kind if words.types.contains_key(kind) => nobody(kind, id),
        kind => Some(no_type(words, kind)),
    }
}

/// Why no principal can have that id: a policy about `User::"ada"` would never apply, a prohibition least of all.
fn nobody(kind: &str, id: &str) -> Option<String> {
    let (fits, rule) = match kind {
        USER | CLIENT => (
            exact_uuid(id).is_some(),
            "its id is a UUID in lower case with hyphens",
        ),
        SERVICE => (
            Subject::service(id).is_ok(),
            "its name is 1 to 64 of [a-z0-9-]",
        ),
        _ => return None,
    };
    (!fits).then(|| format!("no {kind} is called {id:?}: {rule}"))
}

pub(crate) fn no_type(words: &Vocabulary, name: &str) -> String {
    let known: Vec<_> = words.types.keys().map(String::as_str).collect();
    format!("there is no type `{name}`; there are {}", listed(&known))
}

pub(super) fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.join(", ")
}
