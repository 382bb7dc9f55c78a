//! Macros whose content is items as they are: it is reviewed as if the macro were not around it.

use std::borrow::Cow;
use std::ops::Range;

/// Stanchion's own: between the braces stands the implementation of a trait.
const HEADS: [&str; 1] = ["grpc_methods! {"];

/// The text without the heads and the closing braces of such macros; every other byte stays where it was, so that lines and
/// columns are those of the file. Only what is laid out as rustfmt does it is taken: a head and a brace on lines of their own.
pub(crate) fn opened(text: &str) -> Cow<'_, str> {
    if !HEADS.iter().any(|head| text.contains(head)) {
        return Cow::Borrowed(text);
    }
    let mut blank: Vec<Range<usize>> = Vec::new();
    let mut open: Option<(&str, Range<usize>)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_end();
        let range = start..start + code.len();
        start += line.len();
        let margin = &code[..code.len() - code.trim_start().len()];
        match &open {
            Some((of, head)) if code.strip_prefix(of) == Some("}") => {
                blank.extend([head.clone(), range]);
                open = None;
            }
            None if is_head(code) => open = Some((margin, range)),
            _ => {}
        }
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in blank {
        bytes[range].fill(b' ');
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn is_head(code: &str) -> bool {
    let name = code.trim_start();
    HEADS.iter().any(|head| {
        name.strip_suffix(head).is_some_and(|path| {
            path.is_empty() || path.ends_with("::") && !path.contains(['/', '"', ' '])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_and_its_brace_are_blank_and_everything_else_stays_where_it_was() {
        let text = "a\nstanchion::server::grpc_methods! {\n    impl X for Y {\n    }\n}\nb\n";
        let opened = opened(text);
        assert_eq!(opened.len(), text.len());
        let lines: Vec<_> = opened.lines().map(str::trim_end).collect();
        assert_eq!(lines, ["a", "", "    impl X for Y {", "    }", "", "b"]);
    }

    #[test]
    fn what_is_not_closed_or_stands_in_a_comment_stays() {
        for text in [
            "grpc_methods! {\n    impl X for Y {}\n",
            "/// grpc_methods! {\n/// }\n}\n",
            "let a = \"grpc_methods! {\n}\";",
        ] {
            assert_eq!(opened(text), text);
        }
    }
}
