//! What `stanchion add` adds, as plans.

mod consumer;
mod projection;
mod use_case;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

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
    /// A use case of a context's thing: `archive`.
    UseCase { name: String, event: Option<String> },
    /// Rows made of the log.
    Projection { name: String },
    /// Somebody who takes others' contracts.
    Consumer { name: String, contract: String },
    /// A change of the tables.
    Migration { name: String },
}

/// The service and the context that something is added to.
struct Place<'a> {
    root: &'a Root,
    made: Made,
    names: Names,
    style: Style,
}

/// What adding comes to; nothing is made yet.
pub(crate) fn grow(root: &Root, to: Option<&str>, growth: &Growth) -> anyhow::Result<Plan> {
    let made = made(root)?;
    let to = to.unwrap_or(&made.context).replace('-', "_");
    let (style, thing) = kind(root, &to)?;
    let names = Names::new(&made.service, Some(&to), Some(&thing))?;
    let place = Place {
        root,
        made,
        names,
        style,
    };
    match growth {
        Growth::Context { name, thing, style } => {
            add_context(&place, name, thing.as_deref(), *style)
        }
        Growth::UseCase { name, event } => use_case::plan(&place, name, event.as_deref()),
        Growth::Projection { name } => projection::plan(&place, name),
        Growth::Consumer { name, contract } => consumer::plan(&place, name, contract),
        Growth::Migration { name } => add_migration(&place, name),
    }
}

impl Place<'_> {
    /// `src/parcels/domain.rs` of `domain.rs`.
    fn source(&self, path: &str) -> PathBuf {
        Path::new("src").join(&self.names.context).join(path)
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

/// Style and thing of a context, read from its sources: the first thing of its domain.
fn kind(root: &Root, context: &str) -> anyhow::Result<(Style, String)> {
    let domain = Path::new("src").join(context).join("domain.rs");
    let text = root
        .read(&domain)
        .with_context(|| format!("there is no context `{context}`"))?;
    let things = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub(crate) mod ")?.strip_suffix(';'));
    let thing = things
        .into_iter()
        .next()
        .with_context(|| format!("{} names no module", domain.display()))?;
    let file = Path::new("src")
        .join(context)
        .join(format!("domain/{thing}.rs"));
    let sourced = root.read(&file)?.contains("impl Aggregate for");
    Ok((
        if sourced {
            Style::EventSourced
        } else {
            Style::State
        },
        thing.to_owned(),
    ))
}

fn ident(name: &str) -> anyhow::Result<String> {
    let name = name.replace('-', "_");
    Names::new("service", Some("context"), Some(&name))?;
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
        format!("{context} = \"src/{context}\""),
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
