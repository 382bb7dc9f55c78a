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
    outlived: bool,
}

/// What came of work within a scope.
pub(super) struct Done<T> {
    /// Of use only if no key was missing.
    pub(super) value: T,
    /// The keys again.
    pub(super) keys: Keys,
    /// Whose keys it lacked.
    pub(super) missing: BTreeSet<String>,
    /// Whether an open value was to be written whose subject is shredded: somebody still remembered it.
    pub(super) outlived: bool,
}

/// Puts back what was there before, also when serde panics.
struct Restore(Option<Scope>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        SCOPE.with(|scope| *scope.borrow_mut() = before);
    }
}

/// Runs `work` with these keys.
pub(super) fn within<T>(keys: Keys, work: impl FnOnce() -> T) -> Done<T> {
    let scope = Scope {
        keys,
        missing: BTreeSet::new(),
        outlived: false,
    };
    let before = SCOPE.with(|current| current.borrow_mut().replace(scope));
    let restore = Restore(before);
    let value = work();
    let scope = SCOPE.with(|current| current.borrow_mut().take());
    drop(restore);
    let (keys, missing, outlived) = scope
        .map(|scope| (scope.keys, scope.missing, scope.outlived))
        .unwrap_or_default();
    Done {
        value,
        keys,
        missing,
        outlived,
    }
}

/// Notes that an open value of a shredded subject was met.
pub(super) fn outlived() {
    SCOPE.with(|scope| {
        if let Some(scope) = scope.borrow_mut().as_mut() {
            scope.outlived = true;
        }
    });
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
