//! The port of the tier that processes share.

use std::time::Duration;

use async_trait::async_trait;

/// The remote tier's own clock when a lookup was made, in microseconds; only it knows what they count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

/// The remote tier did not answer, in time or at all. What was asked may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the remote tier of the cache is out")]
pub struct Out;

/// What a lookup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When: goes with what is loaded next.
    pub at: Stamp,
    /// What is kept of the key, fresh or not.
    pub kept: Option<Kept>,
}

/// An entry as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The value as JSON; `None`: that there is nothing.
    pub body: Option<Vec<u8>>,
    /// As of which version; 0: none was said.
    pub version: u64,
    /// The shape of the value, as its program numbers it.
    pub schema: u32,
    /// How long it still counts.
    pub fresh_for: Duration,
    /// How long it may still be given when loading fails.
    pub kept_for: Duration,
    /// How long loading took.
    pub cost: Duration,
}

/// An entry to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The entry; its times count from now.
    pub entry: Kept,
    /// What the lookup said before the load began.
    pub began: Stamp,
    /// How long the last invalidation is remembered at least: loads take less.
    pub guard: Duration,
}

/// What a remote tier tells by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Somebody changed or invalidated this key, perhaps we.
    Key(&'a str),
    /// From now on it may not tell; what it told before may be incomplete.
    Blind,
    /// From now on it tells everything.
    Seeing,
}

/// A tier that processes share, for one cache: the same keys mean the same things in all of them.
///
/// Each operation ends within a budget of the adapter's, and so does a wait for a connection. Adapters are held to
/// `stanchion_testing::conformance::cache`.
#[async_trait]
pub trait Remote: std::fmt::Debug + Send + Sync + 'static {
    /// What is kept of the key, and when it was looked up.
    ///
    /// # Errors
    /// [`Out`].
    async fn get(&self, key: &str) -> Result<Found, Out>;

    /// Keeps an entry; `false`: one of a higher version still counts, or its load began before the last invalidation.
    ///
    /// # Errors
    /// [`Out`].
    async fn put(&self, key: &str, put: Put) -> Result<bool, Out>;

    /// Drops the entry, and for `guard` refuses entries whose load began before now or whose version is below `version`.
    ///
    /// # Errors
    /// [`Out`].
    async fn forget(&self, key: &str, version: u64, guard: Duration) -> Result<(), Out>;

    /// Who is told of changes, from then on: blind until it hears otherwise. Once a cache, when it is built.
    fn watch(&self, told: Box<dyn Fn(Change<'_>) + Send + Sync>);
}
