use std::collections::HashSet;
use std::time::Duration;

use parking_lot::RwLock;
use stanchion::runtime::clock;
use stanchion::sql::Query;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::ports::ClientRepository;
use crate::application::Failure;

/// The most void tokens that are remembered; with more of them, what is not on the list is asked of the store.
pub(super) const ENTRIES_MAX: usize = 50_000;

/// The most that may be voided while the store is asked; with more of them its answer is not kept.
const MEANWHILE_MAX: usize = 1_000;

/// The void access tokens that would still live, as the store had them a moment ago and as was heard since: one question a
/// second or less, not one a token.
#[derive(Debug, Default)]
pub(super) struct RevokedTokens {
    known: RwLock<Known>,
    /// Held by whoever asks the store, so that one does.
    asking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    ids: HashSet<Uuid>,
    /// When the store was asked; `None`: the list is not whole.
    asked_at: Option<Instant>,
    /// Voided since the store was asked last: an answer that is on its way may be older.
    meanwhile: Vec<Uuid>,
    /// It is older than what is known of: it is not kept.
    answer_is_old: bool,
}

impl RevokedTokens {
    /// Whether that token is void, by a list of at most that age.
    pub(super) async fn has(
        &self,
        store: &dyn ClientRepository,
        on: &dyn Query,
        token: Uuid,
        age_max: Duration,
    ) -> Result<bool, Failure> {
        if let Some(answer) = self.fresh(token, age_max) {
            return settled(answer, store, on, token).await;
        }
        let asking = self.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let answer = match self.fresh(token, age_max) {
            Some(answer) => answer,
            None => self.ask(store, on, token).await?,
        };
        drop(asking);
        settled(answer, store, on, token).await
    }

    /// That token is void from now on.
    pub(super) fn note(&self, token: Uuid) {
        let mut known = self.known.write();
        if known.ids.len() < ENTRIES_MAX {
            known.ids.insert(token);
        }
        if known.meanwhile.len() < MEANWHILE_MAX {
            known.meanwhile.push(token);
        } else {
            known.answer_is_old = true;
        }
    }

    /// For when it is not known what was voided.
    pub(super) fn forget_all(&self) {
        *self.known.write() = Known {
            answer_is_old: true,
            ..Known::default()
        };
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.known.read().ids.len()
    }

    async fn ask(
        &self,
        store: &dyn ClientRepository,
        on: &dyn Query,
        token: Uuid,
    ) -> Result<Option<bool>, Failure> {
        let asked_at = Instant::now();
        {
            let mut known = self.known.write();
            known.meanwhile = Vec::new();
            known.answer_is_old = false;
        }
        let limit = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX);
        let ids = store.void_tokens(on, clock::now(), limit).await?;
        let mut known = self.known.write();
        let meanwhile = std::mem::take(&mut known.meanwhile);
        known.ids = ids.into_iter().chain(meanwhile).take(ENTRIES_MAX).collect();
        known.asked_at = (!known.answer_is_old).then_some(asked_at);
        Ok(known.answer(token))
    }

    /// What a fresh list says; outer `None` without one.
    fn fresh(&self, token: Uuid, age_max: Duration) -> Option<Option<bool>> {
        let known = self.known.read();
        (known.asked_at?.elapsed() < age_max).then(|| known.answer(token))
    }
}

async fn settled(
    answer: Option<bool>,
    store: &dyn ClientRepository,
    on: &dyn Query,
    token: Uuid,
) -> Result<bool, Failure> {
    match answer {
        Some(answer) => Ok(answer),
        None => store.is_void(on, token).await,
    }
}

impl Known {
    /// `None` if the list is full and the token not on it.
    fn answer(&self, token: Uuid) -> Option<bool> {
        match self.ids.contains(&token) {
            true => Some(true),
            false if self.ids.len() < ENTRIES_MAX => Some(false),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use stanchion::auth::oauth::OpaqueDigest;
    use stanchion::runtime::id;
    use stanchion::sql::Db;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::domain::{ClientId, RegisteredClient};

    const MINUTE: Duration = Duration::from_secs(60);

    /// A store that has no void tokens, and answers when it is let.
    struct Slow {
        lets: Semaphore,
        asked: Semaphore,
    }

    impl Slow {
        fn new() -> Self {
            let (lets, asked) = (Semaphore::new(0), Semaphore::new(0));
            Self { lets, asked }
        }

        async fn was_asked(&self) {
            self.asked.acquire().await.unwrap().forget();
        }
    }

    #[async_trait]
    impl ClientRepository for Slow {
        async fn void_tokens(
            &self,
            _: &dyn Query,
            _: Timestamp,
            _: i64,
        ) -> Result<Vec<Uuid>, Failure> {
            self.asked.add_permits(1);
            self.lets.acquire().await.unwrap().forget();
            Ok(Vec::new())
        }

        async fn create(&self, _: &dyn Query, _: &RegisteredClient) -> Result<(), Failure> {
            unreachable!()
        }

        async fn find(
            &self,
            _: &dyn Query,
            _: ClientId,
        ) -> Result<Option<RegisteredClient>, Failure> {
            unreachable!()
        }

        async fn list(&self, _: &dyn Query, _: i64) -> Result<Vec<RegisteredClient>, Failure> {
            unreachable!()
        }

        async fn set_disabled(
            &self,
            _: &dyn Query,
            _: ClientId,
            _: Option<Timestamp>,
            _: Timestamp,
        ) -> Result<bool, Failure> {
            unreachable!()
        }

        async fn set_secret(
            &self,
            _: &dyn Query,
            _: ClientId,
            _: &OpaqueDigest,
            _: Timestamp,
        ) -> Result<bool, Failure> {
            unreachable!()
        }

        async fn void_token(&self, _: &dyn Query, _: Uuid, _: Timestamp) -> Result<bool, Failure> {
            unreachable!()
        }

        async fn counts(&self, _: &dyn Query, _: ClientId, _: Uuid) -> Result<bool, Failure> {
            unreachable!()
        }

        async fn is_void(&self, _: &dyn Query, _: Uuid) -> Result<bool, Failure> {
            unreachable!()
        }
    }

    #[tokio::test]
    async fn what_is_heard_while_the_store_is_asked_is_not_lost_by_its_answer() {
        let (known, store) = (RevokedTokens::default(), Slow::new());
        let db = Db::memory("identity").unwrap();
        let (void, good) = (id::new_v7(), id::new_v7());
        let asks = known.has(&store, &db, good, MINUTE);
        let hears = async {
            store.was_asked().await;
            known.note(void);
            store.lets.add_permits(1);
        };
        let (answer, ()) = tokio::join!(asks, hears);
        assert!(!answer.unwrap());
        // By the list: the store is not asked again.
        assert!(known.has(&store, &db, void, MINUTE).await.unwrap());
        assert!(!known.has(&store, &db, good, MINUTE).await.unwrap());
        assert_eq!(known.len(), 1);
    }

    #[tokio::test]
    async fn an_answer_from_before_it_was_known_that_much_was_missed_is_not_kept() {
        let (known, store) = (RevokedTokens::default(), Slow::new());
        let db = Db::memory("identity").unwrap();
        let token = id::new_v7();
        let asks = known.has(&store, &db, token, MINUTE);
        let misses = async {
            store.was_asked().await;
            known.forget_all();
            store.lets.add_permits(1);
        };
        assert!(!tokio::join!(asks, misses).0.unwrap());
        store.lets.add_permits(1);
        assert!(!known.has(&store, &db, token, MINUTE).await.unwrap());
        // Once more it was asked, and no oftener.
        store.was_asked().await;
        assert!(!known.has(&store, &db, token, MINUTE).await.unwrap());
        assert_eq!(store.asked.available_permits(), 0);
    }
}
