//! How many connections this process opens to one database, all its modules together.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::pool::Postgres;

/// What this process has open.
static OPEN: LazyLock<Mutex<Vec<Weak<Postgres>>>> = LazyLock::new(Mutex::default);

/// The connections of this process to one PostgreSQL database, all modules together.
///
/// While a module is opened there are two more for a moment, which look for a pooler that keeps no sessions; and a request to
/// cancel a statement has one of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connections {
    /// Host, port and name of the database, without user and password.
    pub database: String,
    /// The modules that have it open.
    pub modules: usize,
    /// The most that their pools open.
    pub pooled_max: usize,
    /// Their logs' writers, each with a connection of its own.
    pub writers: usize,
    /// 1 if logs are told there of other processes' appends.
    pub listeners: usize,
    /// Open now.
    pub open: usize,
    /// Of these, those that somebody uses; writers and listeners always.
    pub in_use: usize,
}

impl Connections {
    /// The most there can be.
    #[must_use]
    pub fn max(&self) -> usize {
        self.pooled_max + self.writers + self.listeners
    }
}

impl std::fmt::Display for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "at most {} connections to {} ({} pooled for {} modules, {} log writers, {} listener)",
            self.max(),
            self.database,
            self.pooled_max,
            self.modules,
            self.writers,
            self.listeners
        )
    }
}

/// The connections of this process, by database.
#[must_use]
pub fn connections() -> Vec<Connections> {
    let mut by_place = BTreeMap::<[u8; 32], Connections>::new();
    for postgres in open() {
        let of = by_place.entry(postgres.place()).or_default();
        postgres.add_to(of);
    }
    by_place.into_values().collect()
}

/// Those to the same database as this.
pub(crate) fn beside(postgres: &Postgres) -> Connections {
    let mut of = Connections::default();
    let all = open().into_iter();
    all.filter(|one| one.place() == postgres.place())
        .for_each(|one| one.add_to(&mut of));
    of
}

/// Counts it for as long as it is there and not closed.
pub(crate) fn count(postgres: &Arc<Postgres>) {
    let mut open = OPEN.lock();
    open.retain(|one| one.strong_count() > 0);
    open.push(Arc::downgrade(postgres));
}

fn open() -> Vec<Arc<Postgres>> {
    let open = OPEN.lock();
    let all = open.iter().filter_map(Weak::upgrade);
    all.filter(|one| !one.is_closed()).collect()
}
