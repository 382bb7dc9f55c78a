use anyhow::ensure;

use super::{Place, ident};
use crate::scaffold::names::camel;
use crate::scaffold::{Plan, Style};

/// Rows of the context's things, made of its log: a table, the projection, the worker.
pub(super) fn plan(place: &Place<'_>, name: &str) -> anyhow::Result<Plan> {
    let row = ident(name)?;
    ensure!(
        !IMPORTED.contains(&camel(&row).as_str()),
        "`{}` would be the type's name, which the projection's file has already",
        camel(&row)
    );
    ensure!(
        place.style == Style::EventSourced,
        "`{}` keeps rows already: its events do not say what a projection needs",
        place.names.context
    );
    let extra = [("row", row.clone()), ("Row", camel(&row))];
    let put = |text: &str| place.names.put(text, &extra);
    let mut plan = Plan::default();
    let domain = place.source(&format!("domain/{}.rs", place.names.thing));
    let arms: String = later_events(&place.root.read(&domain)?)
        .iter()
        .map(|event| format!("            {}\n", place.names.put(&ignored(event), &[])))
        .collect();
    let file = put(PROJECTION).replace("// <applied>\n", &format!("// <applied>\n{arms}"));
    plan.file(place.source(&format!("adapters/{row}.rs")), file);
    plan.line(
        place.source("adapters.rs"),
        "adapters",
        put("pub(crate) mod __row__;"),
    );
    place.migration(&mut plan, &row, &put(UP), &put("drop table __row__;\n"))?;
    plan.line(place.wiring(), "workers", put(WORKER));
    Ok(plan)
}

/// An event that changes no row yet; whoever adds it decides here.
pub(super) fn ignored(event: &str) -> String {
    format!("__Thing__Event::{event} {{ .. }} => return Ok(()),")
}

/// Events that came after the first three, by the marks between which `add use-case` puts them.
fn later_events(domain: &str) -> Vec<String> {
    let inside = domain
        .lines()
        .skip_while(|line| line.trim() != "// <events>")
        .skip(1)
        .take_while(|line| line.trim() != "// </events>");
    inside
        .filter_map(|line| {
            let line = line.trim();
            let end = line.find(|letter: char| !letter.is_alphanumeric())?;
            let opens = line[end..].trim_start().starts_with(['{', ',', '(']);
            (line.starts_with(char::is_uppercase) && opens).then(|| line[..end].to_owned())
        })
        .collect()
}

/// What the file below takes from elsewhere.
const IMPORTED: [&str; 9] = [
    "Aggregate",
    "Filter",
    "Projection",
    "ProjectionError",
    "Recorded",
    "Tx",
    "Result",
    "Ok",
    "Self",
];

const UP: &str = "\
-- Rows of the projection `__row__`, made of the log and of nothing else.
create table __row__ (
    id text primary key,
    name text not null,
    closed boolean not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index __row___by_created on __row__ (created_at, id);
";

const WORKER: &str = "\
let projector = stanchion::sql::Projector::new(
    store.db.clone(),
    Arc::clone(&store.log),
    adapters::__row__::__Row__,
)
.with_metrics(metrics);
let module = module
    .projection(Arc::new(projector.clone()))
    .worker(\"__row__\", |stop| projector.run(stop));";

const PROJECTION: &str = "\
//! The table `__row__`: one row each, made of the log and of nothing else.

use async_trait::async_trait;
use stanchion::eventsourcing::{Aggregate, Filter, Projection, ProjectionError, Recorded};
use stanchion::sql::{Tx, params};

use crate::__context__::domain::__thing__::{__Thing__, __Thing__Event};

/// Keeps the rows.
pub(crate) struct __Row__;

#[async_trait]
impl Projection<Tx> for __Row__ {
    fn name(&self) -> &'static str {
        \"__row__\"
    }

    fn filter(&self) -> Filter {
        Filter::category(__Thing__::CATEGORY)
    }

    fn tables(&self) -> &'static [&'static str] {
        &[\"__row__\"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let (id, version) = (recorded.stream.id(), recorded.version);
        // Every event is named, those too that change no row: the compiler asks about new ones.
        let (sql, params) = match recorded.decode::<__Thing__Event>()? {
            __Thing__Event::Opened { name, at } => (
                \"insert into __row__ (id, name, closed, version, created_at, updated_at) \\
                 values ($1, $2, false, $3, $4, $4)\",
                params![id, name, version, at],
            ),
            __Thing__Event::Renamed { name, at } => (
                \"update __row__ set name = $2, version = $3, updated_at = $4 where id = $1\",
                params![id, name, version, at],
            ),
            __Thing__Event::Closed { at } => (
                \"update __row__ set closed = true, version = $2, updated_at = $3 where id = $1\",
                params![id, version, at],
            ),
            // <applied>
            // </applied>
        };
        tx.queue(sql, params);
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue(\"delete from __row__\", params![]);
        Ok(())
    }
}
";
