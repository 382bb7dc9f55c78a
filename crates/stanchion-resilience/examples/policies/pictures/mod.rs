//! Every picture of the guide, from seeds and virtual time: the same on every run.

mod chart;
mod load;
mod outage;
mod work;

/// Name and text of each.
pub(crate) fn all() -> Vec<(String, String)> {
    let charts = [
        outage::breaker(),
        outage::retry(),
        outage::throttle(),
        outage::hedge(),
        load::bulkhead(),
        load::rate(),
        load::adaptive(),
        load::codel(),
        work::deadline(),
        work::single_flight(),
        work::pool(),
        work::outlier(),
    ];
    let file = |chart: &chart::Chart| (format!("{}.svg", chart.name), chart.svg());
    charts.iter().map(file).collect()
}
