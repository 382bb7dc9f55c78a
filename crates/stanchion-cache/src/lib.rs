//! A cache of two tiers: entries in process, and a remote tier that processes share.
//!
//! | what | how |
//! |---|---|
//! | lookup | in process, then the [remote](Remote) tier, then the loader: one load a key and process, however many ask |
//! | a caller goes away | its load goes on and serves the others; what it gives is kept |
//! | nothing there | kept too, for a shorter time ([`CacheSettings::absent_ttl`]) |
//! | expiry | ± 10 %, so that what was loaded together does not expire together |
//! | early refresh | a reader near the end loads behind the others' backs, the likelier the nearer (`XFetch`) |
//! | invalidation | [`Cache::invalidate`] after the write; the other processes are told by the remote tier |
//! | an old value after a new one | refused: by version, and if its load began before the last invalidation |
//! | the remote tier slow or gone | each operation has a budget; then this process goes without, and remembers what it owes |
//!
//! What it promises: once [`Cache::invalidate`] has returned, no lookup of this process gives what was loaded before; no
//! other process does once it has heard, or after `blind_ttl` when it hears nothing at all. If the remote tier cannot be
//! told, it may keep the old value for the others until the value's time ends, or until it can. Nothing here survives
//! a crash, and nothing may depend on it: it is only ever a hint.
//!
//! Sources: leases against stale sets from *Scaling Memcache at Facebook* (NSDI 2013), early refresh from *Optimal
//! Probabilistic Cache Stampede Prevention* (VLDB 2015, β = 1).

mod cache;
mod entry;
mod key;
mod local;
mod memory;
mod metrics;
mod owed;
mod remote;
mod settings;

pub use cache::{Cache, CacheBuilder, LoadFailed};
pub use entry::{Loaded, VERSION_MAX};
pub use key::CacheKey;
pub use memory::MemoryRemote;
pub use remote::{Change, Found, Kept, Out, Put, Remote, Stamp};
pub use settings::CacheSettings;
