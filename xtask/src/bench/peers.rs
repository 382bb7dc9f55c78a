//! Who takes part: stores with what they promise about order, and limits.

use super::drivers::Driver;

/// One side of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) order: Order,
    pub(super) driver: Driver,
    /// What its driver calls the case; `append` stands for the case's own word.
    pub(super) case: &'static str,
    /// How many events a reading case reads; 0 takes the case's own number.
    pub(super) events: usize,
}

/// What a store promises to those who read its feed while others write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// No event is ever passed over: one order for all.
    Global,
    /// Order within a part of the store only, or none.
    Partial,
    /// No feed: a limit, or another way of ours.
    None,
}

impl Order {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

const fn peer(name: &'static str, order: Order, driver: Driver, case: &'static str) -> Contestant {
    Contestant {
        name,
        order,
        driver,
        case,
        events: 0,
    }
}

/// Ours doing `case`.
pub(super) const fn ours(case: &'static str) -> Contestant {
    peer("ours", Order::Global, Driver::Ours, case)
}

/// Another way of ours, or a limit that our driver measures.
pub(super) const fn other(name: &'static str, case: &'static str) -> Contestant {
    peer(name, Order::None, Driver::Ours, case)
}

impl Contestant {
    /// With another number of events.
    pub(super) const fn of(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Its driver's word for a case that is called `word` by all.
    pub(super) fn case(&self, word: &str) -> String {
        self.case.replacen("append", word, 1)
    }
}

/// Stores that append; each with the settings that were best for it here.
pub(super) const STORES: [Contestant; 7] = [
    MESSAGE_DB,
    peer(
        "message-db, 16 categories",
        Order::Partial,
        Driver::MessageDb,
        "append:categories=16",
    ),
    POSTGRES_ES,
    peer(
        "disintegrate-postgres",
        Order::Global,
        Driver::Disintegrate,
        "append",
    ),
    peer(
        "eventsourcing",
        Order::Global,
        Driver::Eventsourcing,
        "append:processes=2",
    ),
    peer(
        "eventsourcing, db functions",
        Order::Partial,
        Driver::Eventsourcing,
        "append:functions:processes=2",
    ),
    peer(
        "emmett-postgresql",
        Order::Global,
        Driver::Emmett,
        "append:processes=2",
    ),
];

pub(super) const MESSAGE_DB: Contestant = peer(
    "message-db, one category",
    Order::Global,
    Driver::MessageDb,
    "append",
);
pub(super) const POSTGRES_ES: Contestant =
    peer("postgres-es", Order::Partial, Driver::PostgresEs, "append");

/// Stores with something to read.
pub(super) const fn readers(case: &'static str) -> [Contestant; 5] {
    [
        peer("message-db", Order::Global, Driver::MessageDb, case),
        peer("postgres-es", Order::Partial, Driver::PostgresEs, case),
        peer(
            "disintegrate-postgres",
            Order::Global,
            Driver::Disintegrate,
            case,
        ),
        peer("eventsourcing", Order::Global, Driver::Eventsourcing, case),
        peer("emmett-postgresql", Order::Global, Driver::Emmett, case),
    ]
}

pub(super) const PGBENCH: Contestant = peer(
    "limit: pgbench insert",
    Order::None,
    Driver::Pgbench,
    "insert",
);
pub(super) const COPY: Contestant = other("limit: COPY, our table", "copy");
pub(super) const COPY_LEAN: Contestant = other("limit: COPY, narrow table", "copy-lean");
pub(super) const ONE_ORDERED: Contestant = other("one statement, ordered", "one-statement");
pub(super) const ONE_UNORDERED: Contestant =
    other("one statement, unordered", "one-statement:unordered");
pub(super) const SQLITE_POOL: Contestant = peer(
    "sqlx pool, begin immediate",
    Order::Global,
    Driver::SqlitePool,
    "append",
);
pub(super) const SQLITE_RAW: Contestant = other("limit: 1,000 rows a commit", "raw");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_settings_in_every_appending_case() {
        let functions = STORES[5];
        assert_eq!(functions.case("append10"), "append10:functions:processes=2");
        assert_eq!(COPY.case("append10"), "copy");
    }
}
