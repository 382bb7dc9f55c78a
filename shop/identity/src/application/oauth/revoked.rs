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

/// How old the list may be: what another process revokes is refused here after this.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// The most void tokens that are remembered; with more of them, what is not on the list is asked of the store.
pub(super) const ENTRIES_MAX: usize = 50_000;

/// The void access tokens that would still live, as the store had them a moment ago: one question a second, not one a
/// token.
#[derive(Debug, Default)]
pub(super) struct RevokedTokens {
    known: RwLock<Option<Known>>,
    /// Held by whoever asks the store, so that one does.
    asking: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    ids: HashSet<Uuid>,
    asked_at: Instant,
}

impl RevokedTokens {
    /// Whether that token is void.
    pub(super) async fn has(
        &self,
        store: &dyn ClientRepository,
        on: &dyn Query,
        token: Uuid,
    ) -> Result<bool, Failure> {
        if let Some(answer) = self.fresh(token) {
            return self.settled(answer, store, on, token).await;
        }
        let asking = self.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let answer = match self.fresh(token) {
            Some(answer) => answer,
            None => self.ask(store, on, token).await?,
        };
        drop(asking);
        self.settled(answer, store, on, token).await
    }

    /// Reads the list again before its next use: this process has voided a token.
    pub(super) async fn forget(&self) {
        // An answer from before may be on its way.
        let _asking = self.asking.lock().await;
        *self.known.write() = None;
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.known
            .read()
            .as_ref()
            .map_or(0, |known| known.ids.len())
    }

    async fn ask(
        &self,
        store: &dyn ClientRepository,
        on: &dyn Query,
        token: Uuid,
    ) -> Result<Option<bool>, Failure> {
        let asked_at = Instant::now();
        let limit = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX);
        let ids = store.void_tokens(on, clock::now(), limit).await?;
        let known = Known {
            ids: ids.into_iter().collect(),
            asked_at,
        };
        let answer = known.answer(token);
        *self.known.write() = Some(known);
        Ok(answer)
    }

    /// What a fresh list says; outer `None` without one.
    fn fresh(&self, token: Uuid) -> Option<Option<bool>> {
        let known = self.known.read();
        let known = known.as_ref()?;
        (known.asked_at.elapsed() < STALE_AFTER).then(|| known.answer(token))
    }

    async fn settled(
        &self,
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
