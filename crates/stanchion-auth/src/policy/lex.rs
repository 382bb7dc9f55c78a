//! A file's text as words, signs and literals.

use super::tree::Spot;

/// The longest word or text of a policy, in bytes.
const TOKEN_BYTES_MAX: usize = 1024;

/// Two characters before one.
const SIGNS: [&str; 24] = [
    "::", "==", "!=", "<=", ">=", "&&", "||", "(", ")", "{", "}", "[", "]", ",", ";", ".", "@",
    "!", "<", ">", "-", "+", "*", "%",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Number(u64),
    Sign(&'static str),
}

/// What the file is made of, each with where it ends; and what cannot be read, which is skipped.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<(Spot<Token>, usize)>,
    pub(crate) faults: Vec<Spot<String>>,
}

pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let taken = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            match token(rest, first) {
                Ok((token, taken)) => {
                    lexed.tokens.push((Spot { at, it: token }, at + taken));
                    taken
                }
                Err((what, taken)) => {
                    lexed.faults.push(Spot { at, it: what });
                    taken
                }
            }
        };
        at += taken;
    }
    lexed
}

/// The token that `rest` begins with and its length; or what is wrong and how much to skip.
fn token(rest: &str, first: char) -> Result<(Token, usize), (String, usize)> {
    if first == '"' {
        return quoted(rest);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if is_word(first) {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if length > TOKEN_BYTES_MAX {
            return Err(("a word of more than 1024 bytes".into(), length));
        }
        if !first.is_ascii_digit() {
            return Ok((Token::Word(word.to_owned()), length));
        }
        let number = word.parse().map(|number| (Token::Number(number), length));
        return number.map_err(|_| (format!("`{word}` is no number"), length));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    match sign {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err((
            format!("`{}` means nothing here", first.escape_debug()),
            first.len_utf8(),
        )),
    }
}

fn quoted(rest: &str) -> Result<(Token, usize), (String, usize)> {
    let mut text = String::new();
    let mut wrong = None;
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                if text.len() > TOKEN_BYTES_MAX {
                    wrong = Some("a text of more than 1024 bytes".to_owned());
                }
                let read = wrong.map_or(Ok((Token::Text(text), at + 1)), Err);
                return read.map_err(|what| (what, at + 1));
            }
            '\n' => return Err(("a text that its line does not close".into(), at)),
            '\\' => match chars.next() {
                Some((_, escaped)) if plain(escaped).is_some() => text.extend(plain(escaped)),
                Some((_, escaped)) => {
                    let known = r#"\n \r \t \0 \\ \" and \'"#;
                    wrong = Some(format!("`\\{}`: there are {known}", escaped.escape_debug()));
                }
                None => break,
            },
            c => text.push(c),
        }
    }
    Err(("a text that nothing closes".into(), rest.len()))
}

fn plain(escaped: char) -> Option<char> {
    Some(match escaped {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        '\\' | '"' | '\'' => escaped,
        _ => return None,
    })
}
