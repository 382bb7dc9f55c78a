//! What was asked and what was answered, a line each, written before anybody acts on it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::client::Answer;

#[derive(Debug)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// How often each kind of line was written.
    counts: BTreeMap<String, u64>,
}

impl Ledger {
    /// Opens the ledger; lines are added to what stands in it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the ledger {}", path.display()))?;
        Ok(Self {
            inner: Mutex::new(Inner {
                file,
                counts: BTreeMap::new(),
            }),
        })
    }

    pub(crate) fn customer(&self, customer: &str) {
        self.note("customer", json!({"customer": customer}));
    }

    /// Before the first try.
    pub(crate) fn asked(&self, customer: &str, key: &str) {
        self.note("asked", json!({"customer": customer, "key": key}));
    }

    /// The shop has the order, as it says; how long taking it took, unless its end was waited for.
    pub(crate) fn order(&self, customer: &str, key: &str, answer: &Answer, took: Option<Duration>) {
        let order = &answer.data;
        let note = json!({
            "customer": customer, "key": key, "order": order["id"], "status": order["status"],
            "tries": answer.tries, "took_us": took.map(|took| took.as_micros() as u64),
        });
        self.note("order", note);
    }

    /// The shop does not take the order, for good.
    pub(crate) fn refused(&self, customer: &str, key: &str, status: u16) {
        self.note(
            "refused",
            json!({"customer": customer, "key": key, "http": status}),
        );
    }

    pub(crate) fn seen(&self, order: &Value) {
        self.note(
            "seen",
            json!({"order": order["id"], "status": order["status"]}),
        );
    }

    pub(crate) fn cancelled(&self, order: &str) {
        self.note("cancelled", json!({"order": order}));
    }

    pub(crate) fn delivered(&self, sku: &str, quantity: i64, key: &str) {
        self.note(
            "delivered",
            json!({"sku": sku, "quantity": quantity, "key": key}),
        );
    }

    /// A connection broke, or nobody was there: the request is repeated.
    pub(crate) fn interrupted(&self, what: &str, why: &str) {
        self.note("interrupted", json!({"request": what, "why": why}));
    }

    /// The shop has more to do than it can, and says when to come back: the request is repeated then.
    pub(crate) fn shed(&self, what: &str, status: u16) {
        self.note("shed", json!({"request": what, "http": status}));
    }

    /// An answer that no client should ever see.
    pub(crate) fn breakage(&self, what: &str, status: u16, body: &str) {
        self.note(
            "broken",
            json!({"request": what, "http": status, "body": body}),
        );
    }

    pub(crate) fn broken(&self) -> u64 {
        self.inner.lock().counts.get("broken").copied().unwrap_or(0)
    }

    pub(crate) fn summary(&self) -> String {
        let inner = self.inner.lock();
        let counts = inner
            .counts
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    fn note(&self, what: &str, mut note: Value) {
        note["what"] = what.into();
        let mut inner = self.inner.lock();
        *inner.counts.entry(what.to_owned()).or_default() += 1;
        let line = format!("{note}\n");
        // A ledger with a line missing would acquit the guilty.
        inner
            .file
            .write_all(line.as_bytes())
            .expect("the ledger's disk takes a line");
    }
}
