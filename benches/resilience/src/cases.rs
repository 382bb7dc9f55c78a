//! What is compared with what.

mod breaker;
mod cache;
mod rate;
mod tower_layers;

use std::sync::Arc;

use crate::measure::{Case, Work};

pub fn all() -> Vec<Case> {
    let mut cases = breaker::cases();
    cases.extend(cache::cases());
    cases.extend(rate::cases());
    cases.extend(tower_layers::cases());
    cases
}

fn case(name: impl Into<String>, threads: usize, ours: &Work, peer: &Work) -> Case {
    Case {
        name: name.into(),
        threads,
        ours: ours.clone(),
        peer: peer.clone(),
    }
}

/// `call` so many times.
fn repeat(call: impl Fn() + Send + Sync + 'static) -> Work {
    Arc::new(move |calls| (0..calls).for_each(|_| call()))
}

fn on(threads: usize) -> &'static str {
    if threads == 1 {
        "1 thread"
    } else {
        "2 threads"
    }
}
