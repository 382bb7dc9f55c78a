use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// The most statement texts remembered by one [`crate::Db`]; beyond that the memory starts anew.
const TEXTS_MAX: usize = 1_024;

/// The most characters of a statement that a message shows.
const SHOWN_MAX: usize = 200;

/// A statement's text, as each database wants it.
#[derive(Debug)]
pub(crate) struct Statement {
    /// As written, with `$1`.
    pub(crate) text: String,
    /// With `?1`: rusqlite would take `$2, $1` as names and number them by first appearance.
    pub(crate) sqlite: String,
    /// SQLite: whether it must run on the writer; a reader that finds out corrects it.
    writes: AtomicBool,
    /// Whether something may be there when its answer is lost. A function that a `select` calls is not looked into.
    may_write: bool,
}

/// Statement texts by what was written, so that each is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Statements(RwLock<HashMap<String, Arc<Statement>>>);

impl Statements {
    pub(crate) fn get(&self, text: &str) -> Arc<Statement> {
        if let Some(known) = self.0.read().get(text) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(Statement::new(text));
        let mut known = self.0.write();
        if known.len() >= TEXTS_MAX {
            known.clear();
        }
        known.insert(text.to_owned(), Arc::clone(&fresh));
        fresh
    }
}

impl Statement {
    pub(crate) fn new(text: &str) -> Self {
        let (rewritten, locks) = without_row_locks(text);
        let word = first_word(text);
        let reads = ["select", "values", "explain"].contains(&word.as_str());
        Self {
            sqlite: number_parameters(rewritten),
            writes: AtomicBool::new(locks || !(reads || word == "with")),
            may_write: !reads && (word != "with" || changes_rows(text)),
            text: text.to_owned(),
        }
    }

    pub(crate) fn writes(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    pub(crate) fn may_write(&self) -> bool {
        self.may_write
    }

    pub(crate) fn is_a_write(&self) {
        self.writes.store(true, Ordering::Relaxed);
    }

    /// The text for a message: one line, shortened. Parameters are never shown.
    pub(crate) fn shown(&self) -> String {
        shorten(&self.text)
    }
}

/// One line of at most [`SHOWN_MAX`] characters.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn first_word(text: &str) -> String {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.chars()
        .take_while(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// Whether one of the words that change rows stands in it; in a name or a text as well, which does no harm.
fn changes_rows(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["insert", "update", "delete", "merge"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Cuts a trailing `for update`: SQLite's one writer needs no row lock, the statement just has to run there.
fn without_row_locks(text: &str) -> (&str, bool) {
    const LOCKS: [&str; 5] = [
        "for update skip locked",
        "for update nowait",
        "for no key update",
        "for update",
        "for share",
    ];
    let trimmed = text.trim_end().trim_end_matches(';').trim_end();
    let lower = trimmed.to_ascii_lowercase();
    match LOCKS.iter().find(|lock| lower.ends_with(*lock)) {
        Some(lock) => (&trimmed[..trimmed.len() - lock.len()], true),
        None => (text, false),
    }
}

/// Turns `$1` into `?1` outside of quotes and comments.
fn number_parameters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let taken = literal_end(rest);
        let (literal, tail) = rest.split_at(taken);
        out.push_str(literal);
        rest = tail;
        if taken > 0 {
            continue;
        }
        let after_name = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut characters = rest.chars();
        match (characters.next(), characters.next()) {
            (Some('$'), Some('0'..='9')) if !after_name => out.push('?'),
            (Some(other), _) => out.push(other),
            (None, _) => break,
        }
        rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
    }
    out
}

/// How many bytes at the start of `text` are one quoted string, quoted name or comment; 0 if none.
fn literal_end(text: &str) -> usize {
    let closed_by = |open: usize, close: &str| {
        text[open..]
            .find(close)
            .map_or(text.len(), |at| open + at + close.len())
    };
    match text.as_bytes() {
        [b'\'', ..] => closed_by(1, "'"),
        [b'"', ..] => closed_by(1, "\""),
        [b'-', b'-', ..] => closed_by(2, "\n"),
        [b'/', b'*', ..] => closed_by(2, "*/"),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_outside_of_quotes_and_comments() {
        for (written, expected) in [
            ("select $2, $1", "select ?2, ?1"),
            ("select '$1', $1", "select '$1', ?1"),
            ("select 'it''s $1', $10", "select 'it''s $1', ?10"),
            (
                "select \"$1\" -- $1\n, $1 /* $2 */",
                "select \"$1\" -- $1\n, ?1 /* $2 */",
            ),
            ("select a$1 from t", "select a$1 from t"),
            ("select 'é', $1", "select 'é', ?1"),
            ("'''$1'", "'''$1'"),
            ("'$1", "'$1"),
        ] {
            assert_eq!(number_parameters(written), expected);
        }
    }

    #[test]
    fn a_row_lock_is_left_out_for_sqlite_and_makes_it_a_write() {
        let locking = Statement::new("select id from t where id = $1 FOR UPDATE SKIP LOCKED;");
        assert_eq!(locking.sqlite, "select id from t where id = ?1 ");
        assert!(locking.writes());
    }

    #[test]
    fn what_only_reads_is_known_by_its_first_word() {
        assert!(!Statement::new(" -- why\n SELECT 1").writes());
        assert!(!Statement::new("with a as (select 1) select * from a").writes());
        assert!(Statement::new("insert into t values (1) returning id").writes());
        assert!(Statement::new("pragma user_version").writes());
        let with = |then: &str| Statement::new(&format!("with a as (select 1) {then}")).may_write();
        assert!(with("insert into t select * from a") && !with("select * from a"));
        assert!(Statement::new("update t set a = 1").may_write());
        assert!(!Statement::new("select 1 from t for update").may_write());
    }
}
