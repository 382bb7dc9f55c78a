//! What a page shows of code stands so in the file that is linked above it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::links;
use crate::workspace;

/// The pages whose code is looked at, besides every page of the guide.
const PAGES: [&str; 3] = ["README.md", "ARCHITECTURE.md", "docs/patterns.md"];

/// Folders of which every page is looked at.
const FOLDERS: [&str; 2] = ["docs/guide", "docs/runbooks"];

/// What a block says it is, and the ending of the files that such code is taken from.
const LANGUAGES: [(&str, &str); 6] = [
    ("rust", ".rs"),
    ("rs", ".rs"),
    ("sql", ".sql"),
    ("toml", ".toml"),
    ("proto", ".proto"),
    ("sh", SCRIPT),
];

/// Commands to type stand in no file; those of a script that is linked above them stand there.
const SCRIPT: &str = ".sh";

/// A line of this alone, bare or as a comment, stands for lines that are left out.
const LEFT_OUT: &str = "…";

pub(super) fn check() -> Result<String> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    let mut blocks = 0;
    for page in pages(&root)? {
        let shown = page.strip_prefix(&root).unwrap_or(&page).display();
        for block in blocks_of(&read(&page)?) {
            blocks += 1;
            let fault = block.fault(page.parent().unwrap_or(&root));
            wrong.extend(fault.map(|fault| format!("{shown}:{}: {}", fault.line, fault.text)));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{blocks} blocks"))
}

/// A block of code, with the file it is taken from if one is linked in the paragraph above.
#[derive(Debug, PartialEq)]
struct Block {
    /// Of its opening fence, from 1.
    line: usize,
    ending: &'static str,
    source: Option<String>,
    lines: Vec<Line>,
}

/// A line that is not blank, without what surrounds it, and its number from 1.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    number: usize,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Fault {
    line: usize,
    text: String,
}

impl Block {
    fn fault(&self, folder: &Path) -> Option<Fault> {
        let fault = |text| Fault {
            line: self.line,
            text,
        };
        let Some(source) = &self.source else {
            let ending = self.ending;
            return Some(fault(format!(
                "which file is this taken from? Link the {ending} file in the paragraph above the block"
            )));
        };
        match read(&folder.join(source)) {
            Ok(text) => difference(&self.lines, &lines(&text), source.trim_start_matches("../")),
            Err(error) => Some(fault(format!("{error:#}"))),
        }
    }
}

/// The first line of a block that does not stand in its file where it should.
///
/// What is between two marks of left-out lines must stand together; blank lines count for nothing.
fn difference(block: &[Line], file: &[Line], source: &str) -> Option<Fault> {
    let mut rest = file;
    for part in block.split(is_left_out).filter(|part| !part.is_empty()) {
        let same = |at: &usize| shared(part, &rest[*at..]);
        let Some(at) = (0..rest.len()).max_by_key(|at| (same(at), rest.len() - at)) else {
            return Some(missing(&part[0], None, source));
        };
        let shared = same(&at);
        if shared < part.len() {
            let there = rest.get(at + shared).filter(|_| shared > 0);
            return Some(missing(&part[shared], there, source));
        }
        rest = &rest[at + shared..];
    }
    None
}

/// How many lines are the same, from the first on.
fn shared(part: &[Line], file: &[Line]) -> usize {
    let pairs = part.iter().zip(file);
    pairs
        .take_while(|(one, other)| one.text == other.text)
        .count()
}

fn missing(line: &Line, there: Option<&Line>, source: &str) -> Fault {
    let text = &line.text;
    let text = match there {
        Some(there) => format!(
            "`{text}`, but {source}:{} goes on with `{}`: copy that line, or put `// {LEFT_OUT}` where lines are left out",
            there.number, there.text
        ),
        None => format!(
            "`{text}` does not stand in {source}, or not after the line shown before it: copy the line from there, or link the file it is from"
        ),
    };
    Fault {
        line: line.number,
        text,
    }
}

fn is_left_out(line: &Line) -> bool {
    let bare = line.text.trim_start_matches(['/', '-', '#', ' ']);
    bare == LEFT_OUT
}

fn lines(text: &str) -> Vec<Line> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    let lines = numbered.filter(|(_, text)| !text.is_empty());
    lines
        .map(|(number, text)| Line {
            number,
            text: text.to_owned(),
        })
        .collect()
}

/// The blocks of a page that show code of ours.
fn blocks_of(markdown: &str) -> Vec<Block> {
    let lines: Vec<&str> = markdown.lines().map(str::trim).collect();
    let fences: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].starts_with("```"))
        .collect();
    let pairs = fences.chunks(2);
    pairs
        .filter_map(|pair| {
            let end = pair.get(1).copied().unwrap_or(lines.len());
            block(&lines, pair[0], end)
        })
        .collect()
}

/// The block between two fences, unless it is of a language that is not looked at.
fn block(page: &[&str], open: usize, close: usize) -> Option<Block> {
    let language = page[open].trim_start_matches('`');
    let language = language.split([',', ' ']).next().unwrap_or_default();
    let (_, ending) = LANGUAGES.iter().find(|(name, _)| *name == language)?;
    let source = source(&page[..open], ending);
    if *ending == SCRIPT && source.is_none() {
        return None;
    }
    let mut lines = lines(&page[open + 1..close].join("\n"));
    lines.iter_mut().for_each(|line| line.number += open + 1);
    Some(Block {
        line: open + 1,
        ending,
        source,
        lines,
    })
}

/// The last link to a file of that kind in the paragraph that these lines end with.
fn source(above: &[&str], ending: &str) -> Option<String> {
    let end = above.iter().rposition(|line| !line.is_empty())? + 1;
    let start = above[..end].iter().rposition(|line| line.is_empty());
    let paragraph = above[start.map_or(0, |blank| blank + 1)..end].join("\n");
    let mut links = links::targets(&paragraph).into_iter();
    links.rfind(|target| target.ends_with(ending))
}

fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = PAGES.map(|page| root.join(page)).to_vec();
    for folder in FOLDERS {
        for entry in root.join(folder).read_dir().context(folder)? {
            pages.push(entry?.path());
        }
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::{blocks_of, difference, lines};

    const FILE: &str = "use a;\n\nfn one() {\n    1\n}\n\nfn two() {\n    2\n}\n";

    /// The line of the block that is wrong, from 1, and what is said of it.
    fn fault(block: &str) -> Option<(usize, String)> {
        let fault = difference(&lines(block), &lines(FILE), "src/a.rs");
        fault.map(|fault| (fault.line, fault.text))
    }

    #[test]
    fn a_block_may_be_indented_otherwise_and_leave_lines_out_where_it_says_so() {
        let blocks = [
            FILE,
            "  fn one() {\n  1\n  }",
            "use a;\n// …\nfn two() {\n…\n}",
            "fn one() {\n-- …\nfn two() {\n# …",
            "",
        ];
        for block in blocks {
            assert_eq!(fault(block), None, "{block}");
        }
    }

    #[test]
    fn a_line_that_the_file_does_not_have_is_named() {
        let (line, said) = fault("fn one() {\n    3\n}").expect("3 is wrong");
        assert_eq!(line, 2);
        assert!(
            said.contains("`3`, but src/a.rs:4 goes on with `1`"),
            "{said}"
        );
        let (line, said) = fault("fn three() {").expect("there is no three");
        assert_eq!(line, 1);
        assert!(said.contains("does not stand in src/a.rs"), "{said}");
    }

    #[test]
    fn lines_that_are_left_out_in_silence_are_found() {
        assert_eq!(fault("fn one() {\n}").map(|(line, _)| line), Some(2));
        assert_eq!(fault("use a;\nfn two() {").map(|(line, _)| line), Some(2));
    }

    #[test]
    fn the_order_is_that_of_the_file() {
        assert!(fault("fn two() {\n…\nfn one() {").is_some());
        assert!(fault("use a;\n…\nuse a;").is_some(), "it stands there once");
    }

    #[test]
    fn the_file_is_the_last_of_its_kind_in_the_paragraph_above() {
        let page =
            "[x](x.rs)\n\nSee [a](a.rs), [b](b.rs)\nand [d](d.md):\n\n   ```rust\n   1\n   ```\n";
        let blocks = blocks_of(page);
        assert_eq!(blocks[0].source.as_deref(), Some("b.rs"));
        assert_eq!((blocks[0].line, blocks[0].lines[0].number), (6, 7));
    }

    #[test]
    fn commands_to_type_need_no_file_and_those_of_a_script_stand_in_it() {
        let page = "Type this:\n\n```sh\nls\n```\n\nOr run [x](x.sh):\n\n```sh\nls\n```\n";
        let blocks = blocks_of(page);
        let sources: Vec<_> = blocks.iter().map(|block| block.source.as_deref()).collect();
        assert_eq!(sources, [Some("x.sh")]);
    }

    #[test]
    fn a_block_without_a_file_is_wrong_and_other_languages_are_passed_over() {
        let page = "[a](a.rs)\n\nNo link here.\n```rust\n1\n```\n\n```json\n1\n```\n```\n->\n```\n";
        let blocks = blocks_of(page);
        assert_eq!(blocks.len(), 1);
        let fault = blocks[0].fault(std::path::Path::new("."));
        assert!(fault.is_some_and(|fault| fault.line == 4));
    }
}
