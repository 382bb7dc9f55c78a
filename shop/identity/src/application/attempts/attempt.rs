use std::sync::Arc;

use stanchion::resilience::rate::KeyLimit;

use crate::application::Failure;

/// An attempt that may be made. Dropped, it has failed.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Attempt {
    taken: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    limit: Arc<dyn KeyLimit>,
    key: String,
    /// A success ends the series.
    is_streak: bool,
    /// Whoever is refused by another limit has tried all the same.
    is_for_good: bool,
}

/// What becomes of what was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Once,
    Streak,
    ForGood,
}

impl Attempt {
    pub(super) async fn take(
        &mut self,
        limit: &Arc<dyn KeyLimit>,
        key: String,
        kind: Kind,
    ) -> Result<(), Failure> {
        let taken = limit.take(&key, 1).await;
        taken.map_err(|refusal| Failure::Limited {
            refusal,
            quota: limit.quota(),
        })?;
        self.taken.push(Taken {
            limit: Arc::clone(limit),
            key,
            is_streak: kind == Kind::Streak,
            is_for_good: kind == Kind::ForGood,
        });
        Ok(())
    }

    /// A right password costs nothing and ends a series of wrong ones; neither does one that could not be checked.
    pub(crate) async fn judged<E>(&mut self, matches: Result<bool, E>) -> Result<bool, E> {
        match matches {
            Ok(true) => self.give_back(true).await,
            Ok(false) => self.taken.clear(),
            Err(_) => self.give_back(false).await,
        }
        matches
    }

    /// For nothing: what came of it says nothing of who tried.
    pub(crate) async fn costs_nothing(mut self) {
        self.give_back(true).await;
    }

    /// It could not be made: nothing of it is counted, and no series ends.
    pub(super) async fn not_checked(mut self) {
        self.give_back(false).await;
    }

    pub(super) async fn not_made(mut self) {
        self.taken.retain(|taken| !taken.is_for_good);
        self.give_back(false).await;
    }

    async fn give_back(&mut self, has_succeeded: bool) {
        for taken in self.taken.drain(..) {
            let all = taken.limit.quota().burst;
            let calls = if has_succeeded && taken.is_streak {
                all
            } else {
                1
            };
            taken.limit.give_back(&taken.key, calls).await;
        }
    }
}
