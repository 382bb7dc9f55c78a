use std::collections::HashSet;

/// Something in an up file that a running older program would trip over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule: `drop-table`, `drop-column`, `rename`, `not-null`, `type-change`, `unique-index`.
    pub rule: &'static str,
    /// The statement, on one line.
    pub statement: String,
    /// What to do instead.
    pub advice: &'static str,
}

/// Finds what is not "expand only": while a new version rolls out, the old one still reads and writes.
///
/// A file that says `-- contract: reason` has been thought about and has no findings; nor have changes
/// of tables that the same file creates.
///
/// ```
/// use stanchion_sql::lint;
/// assert_eq!(lint("alter table users drop column phone")[0].rule, "drop-column");
/// assert!(lint("-- contract: unread since 1.4\nalter table users drop column phone").is_empty());
/// assert!(lint("alter table users add column phone text").is_empty());
/// ```
#[must_use]
pub fn lint(sql: &str) -> Vec<Finding> {
    if has_reason(sql) {
        return Vec::new();
    }
    let statements = statements(sql);
    let created: HashSet<&str> = statements
        .iter()
        .filter_map(|words| created_table(words))
        .collect();
    let mut findings = Vec::new();
    for words in &statements {
        if let Some((rule, advice)) = judge(words, &created) {
            findings.push(Finding {
                rule,
                statement: words.join(" "),
                advice,
            });
        }
    }
    findings
}

type Words = Vec<String>;

fn judge(words: &Words, created: &HashSet<&str>) -> Option<(&'static str, &'static str)> {
    let starts = |pattern: &[&str]| {
        words.len() >= pattern.len() && words.iter().zip(pattern).all(|(word, want)| word == want)
    };
    if starts(&["drop", "table"]) {
        return Some((
            "drop-table",
            "drop it in a later release, with `-- contract: reason`",
        ));
    }
    if starts(&["create", "unique", "index"]) {
        let table = after(words, "on").unwrap_or_default();
        let fresh = created.contains(table.as_str());
        let advice = "an older program may still write duplicates: make the rule true first";
        return (!fresh).then_some(("unique-index", advice));
    }
    if starts(&["alter", "table"]) {
        let table = words
            .iter()
            .skip(2)
            .find(|word| !["if", "exists", "only"].contains(&word.as_str()))?;
        if created.contains(table.as_str()) {
            return None;
        }
        return judge_alter(words);
    }
    None
}

fn judge_alter(words: &Words) -> Option<(&'static str, &'static str)> {
    let has = |word: &str| words.iter().any(|other| other == word);
    let pair = |one: &str, two: &str| {
        words
            .windows(2)
            .any(|next| next[0] == one && next[1] == two)
    };
    if has("rename") {
        return Some((
            "rename",
            "add the new name, write both, drop the old one later",
        ));
    }
    let kept = ["constraint", "default", "not", "identity", "expression"];
    let drops = words
        .windows(2)
        .any(|next| next[0] == "drop" && !kept.contains(&next[1].as_str()));
    if drops {
        return Some((
            "drop-column",
            "drop it in a later release, with `-- contract: reason`",
        ));
    }
    let retyped = words.windows(4).any(|next| {
        next[0] == "alter" && next[1] == "column" && (next[3] == "type" || next[3] == "set")
    });
    if retyped && (pair("data", "type") || has("type")) {
        return Some((
            "type-change",
            "add a column of the new type, write both, drop the old one later",
        ));
    }
    let adds = has("add") && pair("not", "null") && !has("default") && !has("generated");
    if adds || pair("set", "not") {
        return Some((
            "not-null",
            "an older program does not fill it: give a default, or allow null first",
        ));
    }
    None
}

fn created_table(words: &Words) -> Option<&str> {
    let mut words = words.iter().map(String::as_str);
    if words.next() != Some("create") || words.next() != Some("table") {
        return None;
    }
    words.find(|word| !["if", "not", "exists"].contains(word))
}

fn after(words: &Words, wanted: &str) -> Option<String> {
    let at = words.iter().position(|word| word == wanted)?;
    words.get(at + 1).cloned()
}

fn has_reason(sql: &str) -> bool {
    let reasons = sql
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-- contract:"));
    reasons.into_iter().any(|reason| !reason.trim().is_empty())
}

/// Statements as lower-case words; comments, quotes and parentheses are left out.
fn statements(sql: &str) -> Vec<Words> {
    let without_comments: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let words = |statement: &str| -> Words {
        statement
            .to_ascii_lowercase()
            .replace(['(', ')', '"', ','], " ")
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    let statements = without_comments.split(';').map(words);
    statements.filter(|words| !words.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_program_trips_over_is_found() {
        for (sql, rule) in [
            ("DROP TABLE users", "drop-table"),
            ("alter table users drop phone", "drop-column"),
            (
                "alter table users drop column if exists phone",
                "drop-column",
            ),
            ("alter table users rename column a to b", "rename"),
            ("alter table users rename to people", "rename"),
            (
                "alter table users add column age bigint not null",
                "not-null",
            ),
            (
                "alter table users alter column age set not null",
                "not-null",
            ),
            (
                "alter table users alter column age type text",
                "type-change",
            ),
            (
                "alter table users alter column age set data type text",
                "type-change",
            ),
            (
                "create unique index users_email on users (email)",
                "unique-index",
            ),
        ] {
            let found = lint(sql);
            assert_eq!(found.len(), 1, "{sql}: {found:?}");
            assert_eq!(found[0].rule, rule, "{sql}");
        }
    }

    #[test]
    fn what_only_expands_is_not() {
        for sql in [
            "create table users (id uuid primary key); create unique index u on users(id);",
            "create table if not exists t (type text); alter table t add column x text not null",
            "alter table users add column phone text",
            "alter table users add column type text",
            "alter table users add column age bigint not null default 0",
            "alter table users drop constraint age_positive",
            "alter table users alter column age drop not null",
            "create index users_email on users (email) -- drop table users",
            "-- contract: gone since 1.2\ndrop table users",
        ] {
            assert_eq!(lint(sql), [], "{sql}");
        }
        assert_eq!(lint("-- contract:  \ndrop table users").len(), 1);
    }
}
