use std::path::{Path, PathBuf};

use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents};

use crate::root::Root;

/// Folders whose Markdown is offered, below the root.
const FOLDERS: [&str; 5] = [
    "docs/guide",
    "docs/adr",
    "docs/decisions",
    "docs",
    "docs/runbooks",
];

/// What is offered of every root: a name, what it is, its text.
const OWN: [(&str, &str, &str); 2] = [
    (
        "decide/rules",
        "The rules by which `decide` recommends, with their books",
        include_str!("../decide/rules.toml"),
    ),
    (
        "agents/backend-architect",
        "How a backend architect works with these tools",
        include_str!("../../../../agents/backend-architect.md"),
    ),
];

/// How many resources are listed at most.
const RESOURCES_MAX: usize = 500;

pub(super) fn all(root: &Root) -> Vec<Resource> {
    let own = OWN.iter().map(|(name, about, _)| {
        Resource::new(format!("stanchion://{name}"), *name).with_description(*about)
    });
    let files = files(root).into_iter().map(|path| {
        let name = path.display().to_string();
        Resource::new(format!("stanchion://root/{name}"), name).with_mime_type("text/markdown")
    });
    own.chain(files).take(RESOURCES_MAX).collect()
}

pub(super) fn read(root: &Root, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let unknown = || ErrorData::resource_not_found(format!("there is no resource `{uri}`"), None);
    let name = uri.strip_prefix("stanchion://").ok_or_else(unknown)?;
    if let Some((_, _, text)) = OWN.iter().find(|(own, ..)| *own == name) {
        return Ok(ReadResourceResult::new(vec![ResourceContents::text(
            *text, uri,
        )]));
    }
    let path = Path::new(name.strip_prefix("root/").ok_or_else(unknown)?);
    // Only what is listed: the rest of the root is the agent's own business.
    if !files(root).iter().any(|listed| listed == path) {
        return Err(unknown());
    }
    let text = root.read(path).map_err(|_| unknown())?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(
        text, uri,
    )]))
}

fn files(root: &Root) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in FOLDERS.map(Path::new) {
        let names = root.names(folder).unwrap_or_default();
        let pages = names.into_iter().filter(|name| name.ends_with(".md"));
        files.extend(pages.map(|name| folder.join(name)));
    }
    let top = ["README.md", "AGENTS.md", "ARCHITECTURE.md"].map(PathBuf::from);
    files.extend(top.into_iter().filter(|file| root.exists(file)));
    files
}
