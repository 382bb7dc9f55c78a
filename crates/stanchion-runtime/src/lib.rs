//! The one home of wall clock, randomness and spawned tasks.
//!
//! Everything that differs between two runs of the same code comes from here; `clippy.toml` refuses the
//! originals elsewhere. Durations are measured with `tokio::time::Instant`, which tests can pause.
//!
//! ```
//! use stanchion_runtime::{clock, id, task};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), task::TaskFailed> {
//! let order = id::new_v7();
//! let placed = task::spawn("place-order", async move { (order, clock::now()) });
//! assert_eq!(placed.await?.0, order);
//! # Ok(()) }
//! ```

pub mod clock;
pub mod id;
pub mod random;
pub mod task;
