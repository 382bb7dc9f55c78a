//! The code of the guide's page on load tests.

mod support;

use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use serde::Deserialize;
use serde_json::json;
use stanchion_load::{
    Arrivals, Caller, Criteria, Failure, Load, LoadError, Request, Scenario, Search, svg,
};

/// Two requests, the second one about what the first one made.
struct FillBasket;

#[derive(Deserialize)]
struct Basket {
    id: String,
}

#[async_trait]
impl Scenario for FillBasket {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let quantity = caller.dice.random_range(1..=3);
        let create = Request::post("/baskets").json(&json!({"quantity": quantity}));
        let created = caller.connection.send(&create).await?.expect(200)?;
        let basket: Basket = created.json()?;
        let read = Request::get(&format!("/baskets/{}", basket.id));
        caller.connection.send(&read).await?.expect(200)?;
        Ok(())
    }
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\":\"7\"}";

#[tokio::test]
async fn a_mix_is_run_searched_and_drawn() -> Result<(), LoadError> {
    let (target, served) = support::server(ANSWER, u64::MAX).await;
    let load = |rate: f64| {
        Load::new(target.clone())
            .rate(rate)
            .arrivals(Arrivals::Poisson)
            .warm_up(Duration::from_millis(100))
            .duration(Duration::from_millis(500))
            .seed(7)
            .scenario("browse", 9, Request::get("/api/v1/products"))
            .scenario("fill basket", 1, FillBasket)
    };
    let report = load(200.0).run().await?;
    println!("{}", report.text());
    assert_eq!(report.errors, 0);
    assert!(report.scenarios[1].requests > 0);
    assert!(served.load(std::sync::atomic::Ordering::Relaxed) > report.requests);

    let criteria = Criteria::p99(Duration::from_millis(50));
    let mut search = Search::between(200.0, 400.0, 0.1);
    while let Some(rate) = search.next() {
        let report = load(rate).run().await?;
        search.tell(rate, criteria.are_met_by(&report));
    }
    println!("{:?} requests/s are held", search.held());

    let curve = svg::percentiles("Latency", &[("products", &report)], Some(50.0));
    let series = svg::over_time("Over time", &report, &[], Some(50.0));
    assert!(curve.ends_with("</svg>\n") && series.ends_with("</svg>\n"));
    Ok(())
}
