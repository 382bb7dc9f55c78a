//! How keys reach a field while serde is at work: for the length of one synchronous call, on its thread.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::SubjectKey;

/// The keys known so far.
pub(super) type Keys = HashMap<String, SubjectKey>;

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

struct Scope {
    keys: Keys,
    missing: BTreeSet<String>,
}

/// Puts back what was there before, also when serde panics.
struct Restore(Option<Scope>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        SCOPE.with(|scope| *scope.borrow_mut() = before);
    }
}

/// Runs `work` with these keys; what it gave, the keys again, and which subjects' keys it lacked.
///
/// What it gave is of use only if it lacked none.
pub(super) fn within<T>(keys: Keys, work: impl FnOnce() -> T) -> (T, Keys, BTreeSet<String>) {
    let scope = Scope {
        keys,
        missing: BTreeSet::new(),
    };
    let before = SCOPE.with(|current| current.borrow_mut().replace(scope));
    let restore = Restore(before);
    let done = work();
    let scope = SCOPE.with(|current| current.borrow_mut().take());
    drop(restore);
    let (keys, missing) = scope
        .map(|scope| (scope.keys, scope.missing))
        .unwrap_or_default();
    (done, keys, missing)
}

/// The key of a subject; `None` outside any scope. One that the scope lacks is noted.
pub(super) fn key_of(subject: &str) -> Option<SubjectKey> {
    SCOPE.with(|scope| {
        let mut scope = scope.borrow_mut();
        let scope = scope.as_mut()?;
        let known = scope.keys.get(subject).cloned();
        Some(known.unwrap_or_else(|| {
            scope.missing.insert(subject.to_owned());
            SubjectKey::Absent
        }))
    })
}
