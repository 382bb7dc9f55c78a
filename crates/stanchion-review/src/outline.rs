//! YAML as an outline: indentation, key, value. Enough for manifests, and templates do not stop it.

/// One line that holds a key or a list item.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) line: u32,
    /// Columns before the key; a list's dash counts as indentation.
    pub(crate) indent: usize,
    pub(crate) key: String,
    pub(crate) value: String,
    /// Whether the line opens a list item.
    pub(crate) item: bool,
}

/// Documents of a file, each as its lines.
pub(crate) fn documents(text: &str) -> Vec<Vec<Entry>> {
    let mut all = vec![Vec::new()];
    for (index, raw) in text.lines().enumerate() {
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if raw.starts_with("---") {
            all.push(Vec::new());
        } else if let (Some(entry), Some(document)) = (entry(raw, line), all.last_mut()) {
            document.push(entry);
        }
    }
    all
}

fn entry(raw: &str, line: u32) -> Option<Entry> {
    let mut rest = raw.trim_start();
    if rest.is_empty() || rest.starts_with('#') || rest.starts_with("{{") {
        return None;
    }
    let mut indent = raw.len() - rest.len();
    let item = rest.starts_with("- ") || rest == "-";
    while let Some(inner) = rest
        .strip_prefix('-')
        .filter(|inner| inner.starts_with(' ') || inner.is_empty())
    {
        let trimmed = inner.trim_start();
        indent += rest.len() - trimmed.len();
        rest = trimmed;
    }
    let (key, value) = match rest.split_once(':') {
        Some((key, value)) if !key.contains(' ') || key.starts_with('"') => {
            (key.trim().trim_matches('"'), value.trim())
        }
        _ => ("", rest),
    };
    let value = value.split(" #").next().unwrap_or("").trim();
    Some(Entry {
        line,
        indent,
        key: key.to_owned(),
        value: value.to_owned(),
        item,
    })
}

/// The value of a top-level key.
pub(crate) fn top<'a>(document: &'a [Entry], key: &str) -> Option<&'a Entry> {
    document
        .iter()
        .find(|entry| entry.indent == 0 && entry.key == key)
}

/// The items of the list under an entry, each as its lines.
pub(crate) fn items(lines: &[Entry]) -> Vec<&[Entry]> {
    let Some(depth) = lines
        .iter()
        .filter(|entry| entry.item)
        .map(|entry| entry.indent)
        .min()
    else {
        return Vec::new();
    };
    let starts: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.item && entry.indent == depth)
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &lines[*start..end])
        .collect()
}
