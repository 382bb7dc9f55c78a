//! What a service would refuse at its start: two operations of one route or of one name, found before anything is made.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::root::Root;
use crate::scaffold::Plan;

const METHODS: [&str; 5] = [".get(", ".post(", ".put(", ".patch(", ".delete("];

/// An operation as a source mounts it.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    /// `POST /parcels/{}/close`: what a parameter is called makes no other route.
    route: String,
    /// `parcels_close`, as in the OpenAPI document.
    id: String,
    file: PathBuf,
}

/// # Errors
/// An operation of the plan has the route or the name of another one, there or in the plan.
pub(super) fn check(root: &Root, plan: &Plan) -> anyhow::Result<()> {
    let mut known = existing(root)?;
    let files = plan.files.iter().map(|(file, text)| (file, text));
    let lines = plan.lines.iter().map(|line| (&line.file, &line.text));
    for (file, text) in files.chain(lines) {
        for new in mounted(file, text) {
            let clash = known.iter().find(|old| old.route == new.route);
            ensure!(
                clash.is_none(),
                "`{}` is routed in {} already: call what you add otherwise",
                new.route,
                shown(clash)
            );
            let clash = known.iter().find(|old| old.id == new.id);
            ensure!(
                clash.is_none(),
                "an operation is called `{}` in {} already: call what you add otherwise",
                new.id,
                shown(clash)
            );
            known.push(new);
        }
    }
    Ok(())
}

fn shown(mounted: Option<&Mounted>) -> String {
    mounted.map_or_else(String::new, |mounted| mounted.file.display().to_string())
}

fn existing(root: &Root) -> anyhow::Result<Vec<Mounted>> {
    let mut known = Vec::new();
    for context in root.names(Path::new("src"))? {
        let adapters = Path::new("src").join(context).join("adapters");
        if !root.exists(&adapters) {
            continue;
        }
        let beside = root.names(&adapters)?;
        let beside = beside.iter().filter(|name| !name.ends_with(".rs"));
        let files = beside.map(|thing| adapters.join(thing).join("http.rs"));
        for file in files.chain([adapters.join("http.rs")]) {
            if root.exists(&file) {
                known.extend(mounted(&file, &root.read(&file)?));
            }
        }
    }
    Ok(known)
}

/// The operations of a context's source of routes; none of any other file.
fn mounted(file: &Path, text: &str) -> Vec<Mounted> {
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    let ["src", context, "adapters", .., "http.rs"] = parts[..] else {
        return Vec::new();
    };
    let mut starts: Vec<(usize, &str)> = METHODS
        .iter()
        .flat_map(|method| text.match_indices(method))
        .collect();
    starts.sort_unstable();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let pieces = starts.iter().zip(ends);
    let operations = pieces.filter_map(|((at, method), end)| {
        let (path, name) = operation(&text[at + method.len()..end])?;
        let method = method.trim_matches(['.', '(']).to_uppercase();
        Some(Mounted {
            route: format!("{method} {path}"),
            id: format!("{context}_{name}"),
            file: file.to_owned(),
        })
    });
    operations.collect()
}

/// `"/parcels/{id}", op("…", archive).id("x")` as its path and its name; nothing of another form.
fn operation(text: &str) -> Option<(String, &str)> {
    let (path, rest) = literal(text.trim_start())?;
    let (_, rest) = rest.split_once("op(")?;
    let (_, rest) = literal(rest.trim_start())?;
    let rest = rest.strip_prefix(',')?.trim_start();
    let (function, rest) = rest.split_once([')', ','])?;
    let given = rest.split_once(".id(").and_then(|(_, id)| literal(id));
    let name = given.map_or(function.trim(), |(id, _)| id);
    let path = path.starts_with('/').then(|| {
        let segments = path.split('/');
        let segments = segments.map(|segment| match segment.starts_with('{') {
            true => "{}",
            false => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    })?;
    Some((path, name))
}

/// A text in quotes, and what follows it.
fn literal(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_they_are_written_by_hand_and_by_rustfmt() {
        let text = r#"
        Routes::new()
            .post("/parcels", op("Open one", open).status(201))
            .get(
                "/parcels/{parcel_id}",
                op("Get one", get)
                    .errors(&[NOT_FOUND])
                    .id("parcel_read"),
            )
            .with_state(things)
    }
    let found = things.get(id);
    let other = map.get("/x");
"#;
        let file = Path::new("src/desk/adapters/http.rs");
        let found: Vec<_> = mounted(file, text)
            .into_iter()
            .map(|mounted| (mounted.route, mounted.id))
            .collect();
        let expected = [
            ("POST /parcels", "desk_open"),
            ("GET /parcels/{}", "desk_parcel_read"),
        ];
        let expected = expected.map(|(route, id)| (route.to_owned(), id.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(mounted(Path::new("src/desk/domain.rs"), text), []);
    }
}
