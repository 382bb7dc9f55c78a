use std::path::PathBuf;

use super::projection::ignored;
use super::{Place, ident};
use crate::scaffold::names::camel;
use crate::scaffold::{Plan, Style};

/// A use case from the route to the rule: `POST /things/{id}/archive`.
pub(super) fn plan(place: &Place<'_>, name: &str, event: Option<&str>) -> anyhow::Result<Plan> {
    let case = ident(name)?;
    let event = event.map_or_else(|| past(&camel(&case)), str::to_owned);
    let extra = [
        ("case", case.clone()),
        ("Case", camel(&case)),
        ("Event", event),
        ("case_path", case.replace('_', "-")),
        ("case_words", case.replace('_', " ")),
    ];
    let put = |text: &str| place.names.put(text, &extra);
    let mut plan = Plan::default();
    let application = match place.style {
        Style::EventSourced => SOURCED,
        Style::State => STATE,
    };
    plan.file(
        place.source(&format!("application/{case}.rs")),
        put(application),
    );
    plan.line(
        place.source("application.rs"),
        "use-cases",
        put("mod __case__;"),
    );
    let domain = place.source(&format!("domain/{}.rs", place.names.thing));
    let rules: &[(&str, &str)] = match place.style {
        Style::EventSourced => &SOURCED_RULES,
        Style::State => &STATE_RULES,
    };
    for (mark, text) in rules {
        plan.line(&domain, mark, put(text));
    }
    if place.style == Style::EventSourced {
        for projection in projections(place)? {
            plan.line(projection, "applied", put(&ignored("__Event__")));
        }
    }
    let http = place.source("adapters/http.rs");
    plan.line(&http, "routes", put(ROUTE));
    plan.line(&http, "handlers", put(HANDLER));
    Ok(plan)
}

/// Projections that `add projection` made of the context's log: each names every event.
fn projections(place: &Place<'_>) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in place.root.names(&place.source("adapters"))? {
        let file = place.source(&format!("adapters/{name}"));
        if name.ends_with(".rs") && place.root.read(&file)?.contains("// </applied>") {
            files.push(file);
        }
    }
    Ok(files)
}

/// `Archive` as `Archived`; irregular ones are said by `--event`.
fn past(verb: &str) -> String {
    if verb.ends_with('e') {
        return format!("{verb}d");
    }
    match verb
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']))
    {
        Some(stem) => format!("{stem}ied"),
        None => format!("{verb}ed"),
    }
}

const SOURCED_RULES: [(&str, &str); 4] = [
    ("commands", "__Case__ { at: Timestamp },"),
    ("events", "__Event__ { at: Timestamp },"),
    (
        "decide",
        "__Thing__Command::__Case__ { at } => {\n    self.open()?;\n    vec![__Thing__Event::__Event__ { at: *at }]\n}",
    ),
    (
        "evolve",
        "__Thing__Event::__Event__ { at } => self.change(*at, |_| {}),",
    ),
];

const STATE_RULES: [(&str, &str); 2] = [
    ("events", "__Event__ { id: Uuid },"),
    (
        "methods",
        "
pub(crate) fn __case__(&mut self, at: Timestamp) -> Result<__Thing__Event, __Thing__Refusal> {
    if self.closed {
        return Err(__Thing__Refusal::Closed);
    }
    self.changed(at);
    Ok(__Thing__Event::__Event__ { id: self.id })
}",
    ),
];

const ROUTE: &str = "\
.post(
    \"/__path__/{id}/__case_path__\",
    op(\"To __case_words__ a __thing_words__\", __case__).errors(&[__THING___NOT_FOUND, __THING___CLOSED]),
)";

const SOURCED: &str = "\
use stanchion::eventsourcing::{Metadata, Version};
use stanchion::runtime::clock;
use uuid::Uuid;

use super::read::written;
use super::seen::Written;
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::__Thing__Command;

impl __Things__ {
    /// To __case_words__ it, only at the `expected` version if one is given.
    pub(crate) async fn __case__(
        &self,
        id: Uuid,
        expected: Option<i64>,
        metadata: &Metadata,
    ) -> Result<Written, Failure> {
        let at = clock::now();
        let executed = self
            .repository
            .on(&id.to_string(), metadata)
            .expecting(expected.map(Version))
            .execute(&__Thing__Command::__Case__ { at })
            .await?;
        written(id, executed)
    }
}
";

const STATE: &str = "\
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::UnitOfWork;
use uuid::Uuid;

use super::seen::{Seen, Written};
use super::work::{record, retried};
use super::{Failure, __Things__};

impl __Things__ {
    /// To __case_words__ it, only at the `expected` version if one is given.
    pub(crate) async fn __case__(
        &self,
        id: Uuid,
        expected: Option<i64>,
        metadata: &Metadata,
    ) -> Result<Written, Failure> {
        retried(|| async move {
            let mut work = UnitOfWork::begin(&self.db);
            let mut it = self.to_change(&work, id, expected).await?;
            let event = it.__case__(clock::now())?;
            if !self.rows.update(&work, &it).await? {
                return Err(Failure::Stale);
            }
            record(&mut work, id, &event, metadata)?;
            let position = work.commit().await?.position;
            Ok(Written {
                seen: Seen::from(it),
                position,
            })
        })
        .await
    }
}
";

const HANDLER: &str = "
async fn __case__(
    caller: Authorized<Write__Things__>,
    State(things): State<__Things__>,
    PathId(__Thing__Id(id)): PathId<__Thing__Id>,
    if_match: IfMatch,
) -> Result<Answer<__Thing__View>, Problem> {
    let expected = expected(&things, id, &if_match).await?;
    let metadata = caused_by(&caller);
    let done = things.__case__(id, expected, &metadata);
    let Written { seen, position } = done.await.map_err(|failure| of(failure, id))?;
    Ok(stamped(shown(seen), &things, position))
}";
