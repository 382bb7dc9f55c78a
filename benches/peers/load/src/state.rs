//! What callers share: clients, the access token of each session, refresh tokens that nobody is using.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;

pub(crate) struct State {
    /// What authenticates a client: a whole `Authorization` header, or a login's body.
    clients: Vec<String>,
    sessions: Vec<Mutex<Arc<Session>>>,
    /// Who has rested longest comes first: chains grow evenly.
    free: Mutex<VecDeque<Family>>,
}

/// The newest access token of a session.
pub(crate) struct Session {
    pub(crate) client: String,
    pub(crate) access: String,
}

/// A chain of refresh tokens, at its newest end.
pub(crate) struct Family {
    /// Its session.
    pub(crate) slot: usize,
    pub(crate) refresh: String,
}

/// What a session's beginning or rotation gives.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl State {
    pub(crate) fn new(clients: Vec<String>) -> Self {
        Self {
            clients,
            sessions: Vec::new(),
            free: Mutex::default(),
        }
    }

    /// Adds a session of that client.
    pub(crate) fn add(&mut self, client: String, tokens: Tokens) {
        let slot = self.sessions.len();
        let access = tokens.access_token;
        self.sessions
            .push(Mutex::new(Arc::new(Session { client, access })));
        let refresh = tokens.refresh_token;
        self.free.lock().push_back(Family { slot, refresh });
    }

    pub(crate) fn families(&self) -> usize {
        self.free.lock().len()
    }

    pub(crate) fn client(&self, dice: &mut StdRng) -> &str {
        &self.clients[dice.random_range(0..self.clients.len())]
    }

    /// The client that sessions with this number belong to.
    pub(crate) fn client_of(&self, number: usize) -> &str {
        &self.clients[number % self.clients.len()]
    }

    pub(crate) fn session(&self, dice: &mut StdRng) -> Arc<Session> {
        self.of(dice.random_range(0..self.sessions.len()))
    }

    pub(crate) fn of(&self, slot: usize) -> Arc<Session> {
        Arc::clone(&self.sessions[slot].lock())
    }

    /// `None` when all are under way, or lost.
    pub(crate) fn take(&self) -> Option<Family> {
        self.free.lock().pop_front()
    }

    /// The rotated chain goes back, and its session has a new access token.
    pub(crate) fn rotated(&self, family: &Family, tokens: Tokens) {
        let slot = family.slot;
        let client = self.of(slot).client.clone();
        let access = tokens.access_token;
        *self.sessions[slot].lock() = Arc::new(Session { client, access });
        let refresh = tokens.refresh_token;
        self.free.lock().push_back(Family { slot, refresh });
    }

    /// The slots without a chain: what answered nobody knows is never presented again.
    pub(crate) fn lost(&self) -> Vec<usize> {
        let free = self.free.lock();
        let is_free = |slot: &usize| free.iter().any(|family| family.slot == *slot);
        (0..self.sessions.len())
            .filter(|slot| !is_free(slot))
            .collect()
    }

    /// A new session in the place of one that was lost.
    pub(crate) fn replace(&self, slot: usize, client: String, tokens: Tokens) {
        let access = tokens.access_token;
        *self.sessions[slot].lock() = Arc::new(Session { client, access });
        let refresh = tokens.refresh_token;
        self.free.lock().push_back(Family { slot, refresh });
    }
}
