use std::path::PathBuf;

use anyhow::ensure;

use super::projection::ignored;
use super::{Place, ident};
use crate::scaffold::names::camel;
use crate::scaffold::{Plan, Style, template};

/// A use case from the route to the rule: `POST /things/{id}/archive`.
pub(super) fn plan(place: &Place<'_>, name: &str, event: Option<&str>) -> anyhow::Result<Plan> {
    let case = ident(name)?;
    let file = place.layer("application", &format!("{case}.rs"));
    ensure!(
        !place.root.exists(&file),
        "{} is there already, and nothing is overwritten",
        file.display()
    );
    free(place, &case)?;
    let event = event.map_or_else(|| past(&camel(&case)), str::to_owned);
    let extra = [
        ("case", case.clone()),
        ("Case", camel(&case)),
        ("Event", event.clone()),
        ("case_path", case.replace('_', "-")),
        ("case_words", case.replace('_', " ")),
    ];
    let put = |text: &str| place.names.put(text, &extra);
    let mut plan = Plan::default();
    plan.file(file, put(&file_text(place.style)));
    plan.line(
        place.root_of("application"),
        "use-cases",
        put("mod __case__;"),
    );
    let domain = place.source(&format!("domain/{}.rs", place.names.thing));
    new_event(&event, &place.root.read(&domain)?)?;
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
    let http = place.layer("adapters", "http.rs");
    let route = match place.is_beside {
        true => ROUTE.replace(", __case__)", ", __case__).id(\"__things_____case__\")"),
        false => ROUTE.to_owned(),
    };
    plan.line(&http, "routes", put(&route));
    plan.line(&http, "handlers", put(&handler()));
    Ok(plan)
}

/// A function of that name would stand twice where the use case goes.
fn free(place: &Place<'_>, case: &str) -> anyhow::Result<()> {
    let http = place.layer("adapters", "http.rs");
    let mut files = vec![
        place.source(&format!("domain/{}.rs", place.names.thing)),
        place.root_of("application"),
        http.clone(),
    ];
    let folder = place.layer("application", "");
    let inside = place.root.names(&folder)?;
    let sources = inside.iter().filter(|name| name.ends_with(".rs"));
    files.extend(sources.map(|name| folder.join(name)));
    for file in files {
        let text = place.root.read(&file)?;
        let defined =
            text.contains(&format!("fn {case}(")) || text.contains(&format!("fn {case}<"));
        let taken = defined || file == http && imports(&text, case);
        ensure!(
            !taken,
            "`{case}` is a name in {} already: call the use case otherwise",
            file.display()
        );
    }
    Ok(())
}

/// Whether a source takes that name from elsewhere.
fn imports(text: &str, name: &str) -> bool {
    let used = text.split("\nuse ").skip(1);
    let used = used.filter_map(|rest| rest.split_once(';'));
    let mut names = used.flat_map(|(used, _)| used.split(['{', '}', ',']));
    names.any(|path| path.trim().rsplit("::").next() == Some(name))
}

/// An event is the name of a variant, and happens for one reason only.
fn new_event(event: &str, domain: &str) -> anyhow::Result<()> {
    let first = event.chars().next().is_some_and(|c| c.is_ascii_uppercase());
    ensure!(
        first && event.chars().all(|c| c.is_ascii_alphanumeric()),
        "`{event}` is no name of an event: write it as `Archived`"
    );
    let is_it = |line: &str| {
        let rest = line.trim().strip_prefix(event);
        rest.is_some_and(|rest| rest.trim_start().starts_with(['{', ',', '(']))
    };
    ensure!(
        !domain.lines().any(is_it),
        "`{event}` happens for another reason already: say what happens by --event"
    );
    Ok(())
}

/// Projections that `add projection` made of the thing's events: each names every one.
fn projections(place: &Place<'_>) -> anyhow::Result<Vec<PathBuf>> {
    let events = format!("{}Event::", place.names.type_name());
    let mut files = Vec::new();
    for name in place.root.names(&place.source("adapters"))? {
        let file = place.source(&format!("adapters/{name}"));
        if !name.ends_with(".rs") {
            continue;
        }
        let text = place.root.read(&file)?;
        let own = text.split(|c: char| c.is_whitespace() || c == '(');
        if text.contains("// </applied>") && own.into_iter().any(|word| word.starts_with(&events)) {
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

/// A use case's file is that of closing, which every thing has, told by another name.
fn file_text(style: Style) -> String {
    let closing = template(style, "src/__context__/application/close.rs");
    CASE.iter().fold(closing.to_owned(), |text, (this, that)| {
        text.replace(this, that)
    })
}

/// What closing says of itself. Only closing may have nothing to do.
const CASE: [(&str, &str); 5] = [
    ("/// Closes it, only", "/// To __case_words__ it, only"),
    ("; twice is the same as once.", "."),
    ("fn close(", "fn __case__("),
    ("__Thing__Command::Close {", "__Thing__Command::__Case__ {"),
    (
        "            let Some(event) = it.close(clock::now()) else {
                let seen = Seen::from(it);
                return Ok(Written { seen, position: None });
            };
",
        "            let event = it.__case__(clock::now())?;
",
    ),
];

/// So is its handler.
fn handler() -> String {
    let http = template(Style::State, "src/__context__/adapters/http.rs");
    let from = http.find("async fn close(").unwrap_or_default();
    let closing = &http[from..];
    let end = closing.find("\n}\n").map_or(closing.len(), |end| end + 2);
    let named = closing[..end].replace("close(", "__case__(");
    format!("\n{}", named.replace("closing", "done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_closing_is_left_in_another_use_case() {
        for style in [Style::EventSourced, Style::State] {
            let text = file_text(style);
            assert!(!text.to_lowercase().contains("clos"), "{text}");
            assert!(text.contains("fn __case__("), "{text}");
            assert!(text.contains("clock::now()"), "{text}");
        }
        assert!(file_text(Style::EventSourced).contains("__Thing__Command::__Case__ { at }"));
        assert!(file_text(Style::State).contains("let event = it.__case__(clock::now())?;"));
        let handler = handler();
        assert!(handler.starts_with("\nasync fn __case__(\n    caller: "));
        assert!(handler.ends_with("position))\n}"), "{handler}");
        assert!(!handler.contains("clos"), "{handler}");
    }
}
