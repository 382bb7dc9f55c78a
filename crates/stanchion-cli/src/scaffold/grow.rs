//! What `stanchion add` adds, as plans.

mod aggregate;
mod consumer;
mod mounted;
mod projection;
mod use_case;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::names::word;
use super::{Made, Names, Plan, Style, context, made};
use crate::root::Root;

/// What is to be added.
#[derive(Clone, Debug)]
pub(crate) enum Growth {
    /// A context with a thing of its own.
    Context {
        name: String,
        thing: Option<String>,
        style: Style,
    },
    /// A thing beside the first of a context, event-sourced.
    Aggregate { name: String },
    /// A use case of a context's thing: `archive`.
    UseCase { name: String, event: Option<String> },
    /// Rows made of the log.
    Projection { name: String },
    /// Somebody who takes others' contracts.
    Consumer { name: String, contract: String },
    /// A change of the tables.
    Migration { name: String },
}

/// To what it is added.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whereto<'a> {
    /// Which context; the service's first unless given.
    pub(crate) context: Option<&'a str>,
    /// Which of its things; its first unless given.
    pub(crate) thing: Option<&'a str>,
}

/// The service, the context and the thing that something is added to.
struct Place<'a> {
    root: &'a Root,
    made: Made,
    names: Names,
    style: Style,
    /// The thing is not the first of its context, and has folders of its own.
    is_beside: bool,
}

/// What adding comes to; nothing is made yet.
pub(crate) fn grow(root: &Root, to: Whereto<'_>, growth: &Growth) -> anyhow::Result<Plan> {
    let made = made(root)?;
    let context = to.context.unwrap_or(&made.context).replace('-', "_");
    let things = things(root, &context)?;
    let first = things.first().context("a context has a thing")?;
    let thing = to
        .thing
        .map_or_else(|| first.clone(), |thing| thing.replace('-', "_"));
    ensure!(
        things.contains(&thing),
        "`{context}` has no `{thing}`; it has {}",
        things.join(", ")
    );
    let place = Place {
        root,
        names: Names::new(&made.service, Some(&context), Some(&thing))?,
        style: style(root, &context, &thing)?,
        is_beside: thing != *first,
        made,
    };
    let plan = match growth {
        Growth::Context { name, thing, style } => {
            add_context(&place, name, thing.as_deref(), *style)
        }
        Growth::Aggregate { name } => aggregate::plan(&place, name),
        Growth::UseCase { name, event } => use_case::plan(&place, name, event.as_deref()),
        Growth::Projection { name } => projection::plan(&place, name),
        Growth::Consumer { name, contract } => consumer::plan(&place, name, contract),
        Growth::Migration { name } => add_migration(&place, name),
    }?;
    mounted::check(root, &plan)?;
    Ok(plan)
}

impl Place<'_> {
    /// `src/parcels/domain.rs` of `domain.rs`.
    fn source(&self, path: &str) -> PathBuf {
        Path::new("src").join(&self.names.context).join(path)
    }

    /// `src/parcels/adapters/http.rs` of `adapters` and `http.rs`; of a thing beside the first
    /// `src/parcels/adapters/labels/http.rs`.
    fn layer(&self, layer: &str, file: &str) -> PathBuf {
        let folder = self.source(layer);
        match self.is_beside {
            true => folder.join(self.names.things()).join(file),
            false => folder.join(file),
        }
    }

    /// The module above those files.
    fn root_of(&self, layer: &str) -> PathBuf {
        match self.is_beside {
            true => self.source(&format!("{layer}/{}.rs", self.names.things())),
            false => self.source(&format!("{layer}.rs")),
        }
    }

    /// `src/parcels.rs`.
    fn wiring(&self) -> PathBuf {
        Path::new("src").join(format!("{}.rs", self.names.context))
    }

    /// The number of the next migration.
    fn next_migration(&self) -> anyhow::Result<u32> {
        let folder = Path::new("migrations").join(&self.names.context);
        let names = self.root.names(&folder)?;
        let numbers = names
            .iter()
            .filter_map(|name| name.split('_').next()?.parse::<u32>().ok());
        Ok(numbers.max().unwrap_or(0) + 1)
    }

    /// A migration's two files, and its lines where the context lists its tables.
    fn migration(&self, plan: &mut Plan, name: &str, up: &str, down: &str) -> anyhow::Result<()> {
        let (number, context) = (self.next_migration()?, &self.names.context);
        let stem = format!("migrations/{context}/{number:04}_{name}");
        plan.file(format!("{stem}.up.sql"), up);
        plan.file(format!("{stem}.down.sql"), down);
        let lines = format!(
            ".with(\n    {number},\n    \"{name}\",\n    include_str!(\"../{stem}.up.sql\"),\n    include_str!(\"../{stem}.down.sql\"),\n)"
        );
        plan.line(self.wiring(), "migrations", lines);
        Ok(())
    }
}

/// The things of a context in the order of its domain; at least one.
fn things(root: &Root, context: &str) -> anyhow::Result<Vec<String>> {
    let domain = Path::new("src").join(context).join("domain.rs");
    let text = root
        .read(&domain)
        .with_context(|| format!("there is no context `{context}`"))?;
    let modules = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub(crate) mod ")?.strip_suffix(';'));
    let things: Vec<_> = modules.map(str::to_owned).collect();
    ensure!(!things.is_empty(), "{} names no module", domain.display());
    Ok(things)
}

/// How a thing is kept, as its source says.
fn style(root: &Root, context: &str, thing: &str) -> anyhow::Result<Style> {
    let folder = Path::new("src").join(context);
    let source = root.read(&folder.join(format!("domain/{thing}.rs")))?;
    Ok(match source.contains("impl Aggregate for") {
        true => Style::EventSourced,
        false => Style::State,
    })
}

fn ident(name: &str) -> anyhow::Result<String> {
    let name = name.replace('-', "_");
    word("part of a service", &name)?;
    Ok(name)
}

fn add_context(
    place: &Place<'_>,
    name: &str,
    thing: Option<&str>,
    style: Style,
) -> anyhow::Result<Plan> {
    let names = Names::new(&place.made.service, Some(name), thing)?;
    ensure!(
        !place.root.exists(&Path::new("src").join(&names.context)),
        "there is a context `{}` already",
        names.context
    );
    let mut plan = Plan {
        files: context(&names, style),
        ..Plan::default()
    };
    let context = &names.context;
    plan.line("src/lib.rs", "contexts", format!("pub mod {context};"));
    plan.line(
        "src/platform.rs",
        "contexts",
        format!("use crate::{context};"),
    );
    plan.line("src/platform.rs", "names", format!("\"{context}\","));
    let module = "if options.wants(\"__context__\") {\n    let store = Store::open(\"__context__\", __context__::migrations(), &settings, &options, broker.subscriber()).await?;\n    store.db.register(&metrics);\n    let relay = __context__::relay(Arc::clone(&store.log));\n    let module = __context__::module(&store, &metrics);\n    service = service.mount(broker.announced(module, relay, &store));\n}";
    plan.line("src/platform.rs", "modules", names.put(module, &[]));
    let migrated = "if options.wants(\"__context__\") {\n    let own = __context__::migrations();\n    lines.push(migrated(\"__context__\", &own, &settings, wish).await?);\n}";
    plan.line("src/platform.rs", "migrations", names.put(migrated, &[]));
    plan.line("build.rs", "names", format!("\"{context}\","));
    plan.line(
        "stanchion.toml",
        "contexts",
        format!("[[architecture.context]]\nname = \"{context}\"\npaths = [\"src/{context}\"]"),
    );
    Ok(plan)
}

fn add_migration(place: &Place<'_>, name: &str) -> anyhow::Result<Plan> {
    let name = ident(name)?;
    let mut plan = Plan::default();
    let up = "-- What changes, and why. Only add in one release and take away in a later one: the version before still runs.\n";
    place.migration(&mut plan, &name, up, "-- What takes it back.\n")?;
    Ok(plan)
}
