//! The `shop` binary as its users meet it: a process on a folder of its own, spoken to over its ports.
#![allow(clippy::unwrap_used, reason = "a test may die")]

mod audit;
mod bad_input;
mod broker_faults;
mod credentials;
mod docs_page;
mod elsewhere;
mod first_run;
mod grpc;
mod journeys;
mod killed_at_each_step;
mod lists;
mod log_files;
mod migrations;
mod operator;
mod payments;
mod readme;
mod repeats;
mod retention;
mod roles;
mod same_answers;
mod sdk;
mod separated;
mod sessions;
mod snapshots;
mod stability;
mod stop;
mod support;
mod traces;
mod watch;
