//! Literals, and the words of names.

use crate::node::Node;
use crate::source::Source;

/// The text between the quotes of a string literal.
pub(crate) fn literal<'a>(node: Node<'a>) -> Option<&'a str> {
    let text = node.text();
    match node.kind() {
        "string_literal" | "interpreted_string_literal" => text
            .trim_start_matches(['b', 'c'])
            .strip_prefix('"')?
            .strip_suffix('"'),
        "raw_string_literal" => {
            let text = text
                .trim_start_matches(['b', 'r', '#', '`'])
                .trim_end_matches(['#', '`']);
            Some(text.strip_prefix('"').unwrap_or(text))
                .map(|text| text.strip_suffix('"').unwrap_or(text))
        }
        _ => None,
    }
}

/// String literals of a file.
pub(crate) fn literals(source: &Source) -> impl Iterator<Item = (Node<'_>, &str)> {
    [
        "string_literal",
        "interpreted_string_literal",
        "raw_string_literal",
    ]
    .into_iter()
    .flat_map(|kind| source.each(kind))
    .filter_map(|node| literal(node).map(|text| (node, text)))
}

/// Whether a text is SQL that reads or changes rows.
pub(crate) fn is_sql(text: &str) -> bool {
    let head: String = text
        .trim_start()
        .chars()
        .take(4000)
        .collect::<String>()
        .to_ascii_lowercase();
    (head.starts_with("select ") && head.contains(" from "))
        || head.starts_with("insert into ")
        || (head.starts_with("update ") && head.contains(" set "))
        || head.starts_with("delete from ")
        || (head.starts_with("with ") && head.contains("select "))
        || (head.starts_with("select\n") && head.contains("from "))
}

/// The words of a name: `userID` and `user_id` are `user`, `id`; `TLSErrors` is `tls`, `errors`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut lower_before = false;
    let letters: Vec<char> = name.chars().take(120).collect();
    for (at, letter) in letters.iter().copied().enumerate() {
        if !letter.is_alphanumeric() {
            lower_before = false;
            all.push(String::new());
            continue;
        }
        let upper_before = at > 0 && letters[at - 1].is_uppercase();
        let lower = |ahead: usize| {
            letters
                .get(at + ahead)
                .is_some_and(|letter| letter.is_lowercase())
        };
        // `IDs` is one word, `TLSErrors` two.
        let ends_initials = letter.is_uppercase() && upper_before && lower(1) && lower(2);
        if (letter.is_uppercase() && lower_before) || ends_initials || all.is_empty() {
            all.push(String::new());
        }
        lower_before = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = all.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    all.retain(|word| !word.is_empty());
    all
}

/// Whether a name holds one of these words; a word of two is written with `_`.
pub(crate) fn says(name: &str, wanted: &[&str]) -> bool {
    let joined = format!("_{}_", words(name).join("_"));
    wanted
        .iter()
        .any(|word| joined.contains(&format!("_{word}_")))
}

/// Whether the text holds this word, cut at its borders.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let border = |letter: Option<char>| {
        letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
    };
    text.match_indices(word).any(|(at, _)| {
        border(text[..at].chars().next_back()) && border(text[at + word.len()..].chars().next())
    })
}
