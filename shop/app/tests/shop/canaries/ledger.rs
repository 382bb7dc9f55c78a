//! The canaries: each a text that stands for one secret, and where it was found that it must not be.

use std::path::Path;

/// Texts that nobody else writes.
pub(super) struct Ledger {
    run: String,
    planted: Vec<(String, String)>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let run = stanchion::runtime::id::new_v7().simple().to_string();
        Self {
            run: run[20..].to_owned(),
            planted: Vec::new(),
        }
    }

    /// A new one, for that secret.
    pub(super) fn plant(&mut self, what: &str) -> String {
        let text = format!("canary{:02}x{}", self.planted.len(), self.run);
        self.watch(what, &text);
        text
    }

    /// A secret that somebody else has made: a token, a key.
    pub(super) fn watch(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 16, "{what} is too short to be searched for");
        self.planted.push((what.to_owned(), text.to_owned()));
    }

    pub(super) fn len(&self) -> usize {
        self.planted.len()
    }

    /// Which of them stand in these bytes, with what is around the first of each.
    pub(super) fn found_in(&self, place: &str, bytes: &[u8], allowed: &[&str]) -> Vec<String> {
        let wanted = self
            .planted
            .iter()
            .filter(|(what, _)| !allowed.contains(&what.as_str()));
        let found = wanted.filter_map(|(what, text)| {
            let at = position(bytes, text.as_bytes())?;
            let around = &bytes[at.saturating_sub(160)..(at + text.len() + 40).min(bytes.len())];
            let around = String::from_utf8_lossy(around).replace(['\n', '\0'], " ");
            Some(format!("{what} is in {place}: …{around}…"))
        });
        found.collect()
    }

    /// The same of all files below a folder.
    pub(super) fn found_below(&self, folder: &Path, allowed: &[&str]) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.is_file());
        files
            .flat_map(|path| {
                let bytes = std::fs::read(&path).unwrap();
                self.found_in(&path.display().to_string(), &bytes, allowed)
            })
            .collect()
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts
        .map(|(at, _)| at)
        .find(|at| bytes[*at..].starts_with(wanted))
}
