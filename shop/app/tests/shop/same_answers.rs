//! One process and four services answer the same: a recorded run of requests, sent to both, compared field by field.
//!
//! Ids are called by the order of their first appearance, times and what is about one request are left out. What
//! follows the log is compared once it has settled: a reading that differs is repeated for a while. `SHOP_COMPARE_REQUESTS`
//! says how many (300 unless given), `SHOP_COMPARE_SEED` which, `SHOP_COMPARE_MINUTES` how long it may take.

mod plain;
mod progress;
mod run;
mod step;

use std::time::Duration;

use shop_cluster::Broker;
use stanchion_testing::servers::Nats;
use tokio::time::{Instant, sleep};

use self::plain::Plain;
use self::progress::Progress;
use self::run::Run;
use self::step::Step;
use crate::support::{Shop, eventually};

const REQUESTS: usize = 300;
const SEED: u64 = 20_260_718;
const MINUTES: u64 = 30;
/// How long a reading may differ before that is a difference.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// More would tell the same again.
const DIFFERENCES_MAX: usize = 10;

/// Passwords are not what is compared.
const QUICK: [(&str, &str); 2] = [
    ("SHOP__IDENTITY__HASH_MEMORY_KIB", "8"),
    // Nobody logs in again during a run, however long it is.
    ("SHOP__AUTH__ACCESS_TOKEN_LIFE", "24h"),
];

#[tokio::test]
async fn one_process_and_four_services_give_the_same_answers() {
    let (requests, seed) = (
        number("SHOP_COMPARE_REQUESTS", REQUESTS as u64),
        number("SHOP_COMPARE_SEED", SEED),
    );
    let nats = Nats::required();
    let broker = nats.as_ref().map(|nats| Broker::At(nats.url()));
    let broker = broker.unwrap_or(Broker::None);
    let Some(split) = Shop::start_in_services_with(broker, &QUICK, &[]).await else {
        return;
    };
    split.stocked().await;
    let whole = Shop::start_with(&QUICK).await;
    println!("{requests} requests, seed {seed}");
    let mut sides = [Side::new(whole), Side::new(split)];
    let mut run = Run::new(seed);
    let mut progress = Progress::new(requests, number("SHOP_COMPARE_MINUTES", MINUTES));
    let mut differences = Vec::new();
    for nth in 0..requests {
        let step = run.next();
        let begun = Instant::now();
        let ([one, other], settling) = both(&mut sides, &step).await;
        run.learn(&step, one.status);
        progress.took(step.waits(), begun.elapsed(), settling);
        if one != other {
            differences.push(format!(
                "{nth}: {step:?}\n  one process: {one}\n  services:    {other}"
            ));
        }
        assert!(
            differences.len() < DIFFERENCES_MAX,
            "seed {seed}\n{}",
            differences.join("\n")
        );
    }
    assert!(
        differences.is_empty(),
        "seed {seed}\n{}",
        differences.join("\n")
    );
    println!("{}\n{progress}", run.said());
}

/// A shop, and what its ids are called.
struct Side {
    shop: Shop,
    plain: Plain,
}

impl Side {
    fn new(shop: Shop) -> Self {
        let plain = Plain::default();
        Self { shop, plain }
    }

    async fn answer(&mut self, step: &Step) -> plain::Answered {
        let ask = step.ask(&self.shop, &self.plain);
        let answered = self.plain.of(ask.send().await);
        if let Some(order) = step.cancels().filter(|_| answered.status == 200) {
            self.taken_back(&order).await;
        }
        answered
    }

    /// What was cancelled goes back in its own time. Who changed a product meanwhile, or ordered the last one, would be
    /// told how far that is, and the sides need not be equally far.
    async fn taken_back(&self, order: &str) {
        let id = self.plain.kept(order).expect("an order that was placed");
        let path = format!("/processes/orders/fulfilment/{id}");
        eventually(
            "what was cancelled is taken back",
            SETTLED_WITHIN,
            || async {
                let shown = self.shop.fetch_admin_of("orders-api", &path);
                let shown = shown.send().await.json();
                (shown["state"] == "ended" && shown["step"] == "cancelled").then_some(())
            },
        )
        .await;
    }
}

/// What both answer; a reading, once both have settled, and how long that took.
async fn both(sides: &mut [Side; 2], step: &Step) -> ([plain::Answered; 2], Duration) {
    let mut differs_since = None;
    loop {
        let [one, other] = sides;
        let appeared = [one.plain.appeared(), other.plain.appeared()];
        // At the same time: neither has anything of the other.
        let answers: [_; 2] = tokio::join!(one.answer(step), other.answer(step)).into();
        let same = answers[0] == answers[1];
        let settling = differs_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        if same || !step.is_reading() || settling > SETTLED_WITHIN {
            // What is to be logged in with is each side's own.
            for (side, answer) in sides.iter_mut().zip(&answers) {
                side.plain.keep(step.keeps(), answer);
            }
            return (answers, settling);
        }
        differs_since.get_or_insert_with(Instant::now);
        for (side, appeared) in sides.iter_mut().zip(appeared) {
            side.plain.back_to(appeared);
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}
