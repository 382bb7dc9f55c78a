use anyhow::ensure;

use super::{Place, ident};
use crate::scaffold::{Names, Plan, aggregate};

/// An aggregate beside the first of its context: rules, use cases, routes, gRPC service and tests of its own, in the context's log
/// and its transactions.
pub(super) fn plan(place: &Place<'_>, name: &str) -> anyhow::Result<Plan> {
    let thing = ident(name)?;
    let names = Names::new(
        &place.made.service,
        Some(&place.names.context),
        Some(&thing),
    )?;
    ensure!(
        !place
            .root
            .exists(&place.source(&format!("domain/{thing}.rs"))),
        "`{}` has a `{thing}` already",
        names.context
    );
    let put = |text: &str| names.put(text, &[]);
    let mut plan = Plan {
        files: aggregate(&names),
        ..Plan::default()
    };
    for (layer, mark, module) in [
        ("domain", "domain", "pub(crate) mod __thing__;"),
        ("application", "use-cases", "pub(crate) mod __things__;"),
        ("adapters", "adapters", "pub(crate) mod __things__;"),
    ] {
        plan.line(place.source(&format!("{layer}.rs")), mark, put(module));
    }
    let announced = place.source("adapters/announce.rs");
    plan.line(announced, "announce", put("\"__thing__\" => Ok(vec![]),"));
    plan.line(place.wiring(), "workers", put(MOUNTED));
    plan.line("build.rs", "names", put("\"__things__\","));
    Ok(plan)
}

const MOUNTED: &str = "\
let repository = stanchion::eventsourcing::Repository::new(Arc::clone(&store.log));
let __things__ = application::__things__::__Things__::new(Arc::new(repository.with_metrics(metrics)));
let module = module
    .routes(adapters::__things__::http::routes(__things__.clone()))
    .grpc(adapters::__things__::grpc::service(__things__));";
