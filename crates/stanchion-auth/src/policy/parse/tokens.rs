//! The tokens, one after the other.

use super::super::lex::Token;
use super::super::tree::{At, Spot};
use super::{Fault, Parsed, Parser, fault};

impl Parser {
    /// Where the next token begins.
    pub(super) fn here(&self) -> At {
        let next = self.tokens.get(self.next);
        next.map_or(self.end, |(token, _)| token.at)
    }

    /// Where the last one ended.
    pub(super) fn behind(&self) -> At {
        let last = self.next.checked_sub(1);
        last.map_or(0, |last| self.tokens[last].1)
    }

    pub(super) fn sign(&self) -> Option<&'static str> {
        match self.tokens.get(self.next) {
            Some((
                Spot {
                    it: Token::Sign(sign),
                    ..
                },
                _,
            )) => Some(sign),
            _ => None,
        }
    }

    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let takes = self.sign() == Some(sign);
        self.next += usize::from(takes);
        takes
    }

    pub(super) fn takes_word(&mut self, wanted: &str) -> bool {
        let next = self.tokens.get(self.next);
        let takes = matches!(next, Some((Spot { it: Token::Word(word), .. }, _)) if word == wanted);
        self.next += usize::from(takes);
        takes
    }

    pub(super) fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.lacks(&format!("`{sign}`")))
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.takes_word(word) {
            return Ok(());
        }
        Err(self.lacks(&format!("`{word}`")))
    }

    pub(super) fn word(&mut self, wanted: &str) -> Parsed<Spot<String>> {
        let Some((
            Spot {
                at,
                it: Token::Word(word),
            },
            _,
        )) = self.tokens.get(self.next)
        else {
            return Err(self.lacks(wanted));
        };
        let word = Spot {
            at: *at,
            it: word.clone(),
        };
        self.next += 1;
        Ok(word)
    }

    pub(super) fn text(&mut self) -> Parsed<Spot<String>> {
        let Some((
            Spot {
                at,
                it: Token::Text(text),
            },
            _,
        )) = self.tokens.get(self.next)
        else {
            return Err(self.lacks("a text in quotes"));
        };
        let text = Spot {
            at: *at,
            it: text.clone(),
        };
        self.next += 1;
        Ok(text)
    }

    pub(super) fn lacks(&self, wanted: &str) -> Fault {
        let found = match self.tokens.get(self.next) {
            None => "the end".to_owned(),
            Some((Spot { it, .. }, _)) => match it {
                Token::Word(word) => format!("`{word}`"),
                Token::Text(text) => format!("{text:?}"),
                Token::Number(number) => format!("`{number}`"),
                Token::Sign(sign) => format!("`{sign}`"),
            },
        };
        fault(self.here(), format!("{wanted} is expected, not {found}"))
    }

    /// From a policy that began at `start`, behind the next `;`, where another begins.
    pub(super) fn skip(&mut self, start: usize) {
        self.depth = 0;
        let is_end = |(token, _): &(Spot<Token>, At)| token.it == Token::Sign(";");
        if self.tokens[start..self.next].last().is_some_and(is_end) {
            return;
        }
        while self.next < self.tokens.len() && !self.takes(";") {
            self.next += 1;
        }
    }
}
