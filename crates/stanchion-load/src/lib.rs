//! Open-loop load on an HTTP service: what users feel at a given rate, not what a busy client lets through.
//!
//! - **The schedule is fixed before.** Requests are due at a constant rate or as a Poisson process, from a seed; a slow
//!   answer delays nobody's start.
//! - **Latency counts from the intended start**, so that a stall of the server is felt by every request that was due
//!   meanwhile (no coordinated omission). How long a request waited here for a free connection is told apart.
//! - **Everything is bounded**: connections, requests that wait for one, the time of each, the whole run. What finds no
//!   room is counted as unsent and never hidden.
//! - **Loopback only**, unless the target is allowed by name: a typing error must not load somebody else's machine.
//!
//! The words: a [`Load`] offers a mix of [`Scenario`]s to a [`Target`] and gives a [`Report`]; [`Search`] finds the
//! highest rate that meets [`Criteria`]; [`svg`] draws reports.
//!
//! ```
//! use std::time::Duration;
//! use stanchion_load::{Criteria, Load, Request, Target};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # let _server = stanchion_runtime::task::spawn("server", async move {
//! #     while let Ok((mut stream, _)) = listener.accept().await {
//! #         let _serving = stanchion_runtime::task::spawn("connection", async move {
//! #             let mut buffer = [0; 1024];
//! #             while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
//! #                 let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
//! #                 if stream.write_all(answer).await.is_err() { break; }
//! #             }
//! #         });
//! #     }
//! # });
//! let report = Load::new(Target::parse(&url)?)
//!     .rate(200.0)
//!     .duration(Duration::from_secs(1))
//!     .seed(7)
//!     .scenario("products", 9, Request::get("/api/v1/products"))
//!     .scenario("product", 1, Request::get("/api/v1/products/TEAPOT"))
//!     .run()
//!     .await?;
//! println!("{}", report.text());
//! assert_eq!((report.requests, report.errors), (200, 0));
//! assert!(Criteria::p99(Duration::from_secs(1)).are_met_by(&report));
//! # Ok(()) }
//! ```
//!
//! tokio wakes sleepers once a millisecond: at 10,000 requests/s, ten start together. What that adds to a latency is
//! in [`Report::waited`], never subtracted.

mod histogram;
mod http;
mod queue;
mod recorder;
mod report;
mod run;
mod scenario;
mod schedule;
mod search;
pub mod svg;
mod target;

pub use self::http::{Connection, Request, Response};
pub use report::{Latency, Report, ScenarioReport, Second};
pub use run::{Load, LoadError};
pub use scenario::{Caller, Failure, Scenario};
pub use schedule::Arrivals;
pub use search::{Criteria, Search};
pub use target::{Target, TargetError};
