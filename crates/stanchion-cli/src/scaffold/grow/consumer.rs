use anyhow::ensure;

use super::{Place, ident};
use crate::scaffold::Plan;
use crate::scaffold::names::camel;

/// A consumer of one contract, with its handler and the contract as this context needs it.
pub(super) fn plan(place: &Place<'_>, name: &str, contract: &str) -> anyhow::Result<Plan> {
    let consumer = ident(name)?;
    let parts: Vec<&str> = contract.split('.').collect();
    let versioned = |version: &str| {
        version
            .strip_prefix('v')
            .filter(|digits| digits.chars().all(|c| c.is_ascii_digit()))
            .is_some_and(|digits| digits.parse::<u32>().is_ok_and(|number| number > 0))
    };
    let word = |part: &str| {
        let first = part.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        first && part.chars().all(plain)
    };
    ensure!(
        matches!(parts[..], [context, what, version] if word(context) && word(what) && versioned(version)),
        "`{contract}` is no contract: `context.what_happened.v1`"
    );
    let message = camel(parts[1]);
    ensure!(
        !IMPORTED.contains(&message.as_str()),
        "`{message}` would be the type's name, which the consumer's file has already"
    );
    let extra = [
        ("consumer", consumer.clone()),
        ("contract", contract.to_owned()),
        ("Contract", message),
    ];
    let put = |text: &str| place.names.put(text, &extra);
    let mut plan = Plan::default();
    plan.file(
        place.source(&format!("adapters/{consumer}.rs")),
        put(CONSUMER),
    );
    plan.line(
        place.source("adapters.rs"),
        "adapters",
        put("pub(crate) mod __consumer__;"),
    );
    plan.line(
        place.wiring(),
        "workers",
        put("let consumer = adapters::__consumer__::consumer(store, metrics);\nlet module = module.worker(\"__consumer__\", |stop| consumer.run(stop));"),
    );
    Ok(plan)
}

/// What the file below takes from elsewhere.
const IMPORTED: [&str; 10] = [
    "Arc",
    "Serialize",
    "Deserialize",
    "Consumer",
    "Contract",
    "HandlerError",
    "Received",
    "Metrics",
    "Store",
    "Result",
];

const CONSUMER: &str = "\
//! Takes `__contract__`, once in effect: what arrives twice is known by its inbox key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stanchion::messaging::{Consumer, Contract, HandlerError, Received};
use stanchion::telemetry::Metrics;

use crate::store::Store;

/// What this context reads of it; fields that it does not name are left alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct __Contract__ {
    pub(crate) id: String,
}

impl Contract for __Contract__ {
    const NAME: &'static str = \"__contract__\";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Handlers run at most one at a time for a key; one that fails is tried again, and is a dead letter in the end.
pub(crate) fn consumer(store: &Store, metrics: &Metrics) -> Consumer {
    Consumer::new(\"__consumer__\", Arc::clone(&store.consumers), Arc::clone(&store.broker))
        .metrics(metrics)
        .on(handle)
}

/// Put the effect here; commit it together with the inbox key of `received`, as `Execution::settling` does.
async fn handle(message: __Contract__, received: Received) -> Result<(), HandlerError> {
    tracing::info!(id = message.id, cause = %received.metadata.correlation_id, \"taken\");
    Ok(())
}
";
