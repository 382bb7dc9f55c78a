//! An answer, whole, with what was asked: so that a failed expectation says enough.

use reqwest::header::HeaderMap;
use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// Dies with the whole answer unless it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.asked, self.text);
        self
    }

    /// Dies unless it is this error.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.code(), code, "{}\n{}", answer.asked, answer.text);
        answer
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// What was asked for.
    pub(crate) fn data(&self) -> Value {
        self.json()["data"].take()
    }

    pub(crate) fn meta(&self) -> Value {
        self.json()["meta"].take()
    }

    /// The error's code; empty without one.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The error's details.
    pub(crate) fn details(&self) -> Value {
        self.json()["error"]["details"].take()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The text at a JSON pointer below `data`.
    #[track_caller]
    pub(crate) fn text_at(&self, pointer: &str) -> String {
        let data = self.data();
        let text = data.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at data{pointer}: {}", self.text))
            .to_owned()
    }

    /// The number at a JSON pointer below `data`.
    #[track_caller]
    pub(crate) fn number_at(&self, pointer: &str) -> i64 {
        let data = self.data();
        let number = data.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_else(|| panic!("no number at data{pointer}: {}", self.text))
    }

    /// The `ETag`.
    #[track_caller]
    pub(crate) fn etag(&self) -> String {
        self.header("etag")
            .unwrap_or_else(|| panic!("no ETag: {}", self.asked))
            .to_owned()
    }
}
