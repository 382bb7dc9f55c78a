//! The same random program says the same on the log in memory, on SQLite, on PostgreSQL and on a plain model.
//!
//! `STANCHION_SEED` repeats a run, `STANCHION_CASES` makes it longer.
#![allow(clippy::unwrap_used)]

mod model {
    pub(crate) mod plain;
    pub(crate) mod program;
    pub(crate) mod real;
}
mod support;

use proptest::prop_assert_eq;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use model::plain::Plain;
use model::program::{Step, program};
use model::real::Stores;

/// Programs in every run of the tests; each has up to 16 steps.
const CASES: u32 = 200;

#[test]
fn every_log_says_what_the_model_says() {
    let seed = std::env::var("STANCHION_SEED").ok();
    let seed = seed.map_or_else(stanchion_runtime::random::bytes::<8>, |text| {
        u64::from_str_radix(&text, 16).unwrap().to_be_bytes()
    });
    let shown = u64::from_be_bytes(seed);
    eprintln!("repeat with STANCHION_SEED={shown:016x}");
    let cases = std::env::var("STANCHION_CASES").ok();
    let config = Config {
        cases: cases.map_or(CASES, |text| text.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let stores = runtime.block_on(Stores::open());
    let ran = TestRunner::new_with_rng(config, random)
        .run(&program(), |steps| runtime.block_on(run(&stores, &steps)));
    ran.unwrap_or_else(|failed| panic!("STANCHION_SEED={shown:016x}: {failed}"));
}

async fn run(stores: &Stores, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut reals = stores.fresh().await;
    let mut plain = Plain::default();
    for (number, step) in steps.iter().enumerate() {
        let expected = plain.answer(step);
        for real in &mut reals {
            let said = real.answer(step).await;
            let name = real.name();
            prop_assert_eq!(
                said,
                expected.clone(),
                "{} at step {}: {:?}",
                name,
                number,
                step
            );
        }
    }
    for real in &mut reals {
        real.leave(&plain).await;
    }
    Ok(())
}
