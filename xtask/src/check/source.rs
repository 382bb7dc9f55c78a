//! Rust source as words, for rules about what a module may name.

/// A word that stands in a path (`a::b`) or in a `use`, with its line (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Other(char),
}

/// Every path segment outside comments, strings and the file's test module.
pub(super) fn segments(source: &str) -> Vec<Segment> {
    let source = source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let tokens = tokens(source);
    let mut in_use = false;
    let mut found = Vec::new();
    for (at, (token, line)) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) if word == "use" => in_use = true,
            Token::Other(';') => in_use = false,
            Token::Word(word) if in_use || beside_path(&tokens, at) => {
                found.push(Segment {
                    name: word.clone(),
                    line: *line,
                });
            }
            _ => {}
        }
    }
    found
}

fn beside_path(tokens: &[(Token, usize)], at: usize) -> bool {
    let is_path = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at))
            .is_some_and(|(token, _)| *token == Token::Path)
    };
    is_path(at.checked_sub(1)) || is_path(at.checked_add(1))
}

fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = length(rest, first).max(first.len_utf8());
        let (text, after) = rest.split_at(length);
        if is_word(first) {
            tokens.push((Token::Word(text.to_owned()), line));
        } else if text == "::" {
            tokens.push((Token::Path, line));
        } else if length == first.len_utf8() && !first.is_whitespace() {
            tokens.push((Token::Other(first), line));
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Bytes of the token, comment or literal that `rest` starts with.
fn length(rest: &str, first: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with("::") {
        return 2;
    }
    match first {
        '"' => quoted(rest),
        '\'' => character(rest),
        'r' | 'b' | 'c' => raw_string(rest).unwrap_or_else(|| word(rest)),
        _ if is_word(first) => word(rest),
        _ => first.len_utf8(),
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(rest: &str) -> usize {
    rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`: `None` when it is an ordinary word.
fn raw_string(rest: &str) -> Option<usize> {
    let start = rest.find('r').filter(|at| *at <= 1)? + 1;
    let hashes = rest[start..].find(|letter| letter != '#')?;
    let open = start + hashes;
    if !rest[open..].starts_with('"')
        || rest[..start]
            .chars()
            .any(|letter| !matches!(letter, 'r' | 'b' | 'c'))
    {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open + 1..]
        .find(&close)
        .map(|at| open + 1 + at + close.len())
}

/// A character literal, or the apostrophe of a lifetime.
fn character(rest: &str) -> usize {
    let body = &rest[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        let mut after = escape.char_indices().skip(1);
        return after
            .find(|(_, letter)| *letter == '\'')
            .map_or(1, |(at, _)| at + 3);
    }
    let letter = body.chars().next().map_or(0, char::len_utf8);
    if body[letter..].starts_with('\'') {
        letter + 2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::segments;

    fn names(source: &str) -> Vec<String> {
        segments(source)
            .into_iter()
            .map(|segment| segment.name)
            .collect()
    }

    #[test]
    fn paths_and_grouped_imports_are_seen() {
        assert_eq!(
            names("use crate::{domain::Order, adapters};"),
            ["crate", "domain", "Order", "adapters"]
        );
        assert_eq!(
            names("fn f() { axum::serve(application) }"),
            ["axum", "serve"]
        );
    }

    #[test]
    fn comments_strings_and_tests_say_nothing() {
        let source = "// crate::adapters\n/* tokio::x */ \"sql::a\" r#\"a::\"b\"# '\"' '\\'' 'a\n#[cfg(test)]\nmod tests { use tokio::x; }";
        assert_eq!(names(source), Vec::<String>::new());
    }

    #[test]
    fn a_segment_knows_its_line() {
        assert_eq!(
            segments("\n\"a\nb\"\nx::y")
                .iter()
                .map(|segment| segment.line)
                .collect::<Vec<_>>(),
            [4, 4]
        );
    }
}
