use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Outcome, Reply, StoredSuccess, Success};
use crate::describe::{Description, ReplyShape};
use crate::{Listing, Paging, Problem};

/// A stretch of a list, with the page or the cursor to what follows.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    rows: Vec<T>,
    meta: Map<String, Value>,
}

/// Where a stretch of a list is in the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page, from 1; none with a cursor.
    pub page: Option<u32>,
    /// Rows on a page.
    pub limit: u32,
    /// All rows there are; none with a cursor.
    pub total: Option<u64>,
    /// All pages there are; none with a cursor.
    pub total_pages: Option<u64>,
    /// What goes on behind the last row; none at the end.
    pub next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// The rows that were read for this listing.
    ///
    /// `rows` are at most [`Listing::fetch`]; the one too many is cut off and means that there are more.
    /// `total` is the count of all rows, when [`Listing::wants_total`]. `key` is what the list is
    /// sorted by, with the id last: the next cursor points behind the last row's key.
    #[must_use]
    pub fn of<F, K: Serialize>(
        listing: &Listing<F>,
        mut rows: Vec<T>,
        total: Option<u64>,
        key: impl Fn(&T) -> K,
    ) -> Self {
        let limit = listing.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| listing.cursor_after(&key(last)));
        let mut meta = Map::new();
        if let Paging::Page(page) = listing.paging {
            let total = total.unwrap_or_default();
            meta.insert("page".into(), json!(page));
            meta.insert("total".into(), json!(total));
            meta.insert(
                "total_pages".into(),
                json!(total.div_ceil(u64::from(listing.limit))),
            );
        }
        meta.insert("limit".into(), json!(listing.limit));
        meta.insert("next_cursor".into(), json!(next));
        Self { rows, meta }
    }

    /// The whole of a short list that is never paged.
    #[must_use]
    pub fn whole(rows: Vec<T>) -> Self {
        let mut meta = Map::new();
        meta.insert("page".into(), json!(1));
        meta.insert("limit".into(), json!(rows.len().max(1)));
        meta.insert("total".into(), json!(rows.len()));
        meta.insert("total_pages".into(), json!(1));
        meta.insert("next_cursor".into(), Value::Null);
        Self { rows, meta }
    }

    /// The rows with each turned into something else.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            rows: self.rows.into_iter().map(change).collect(),
            meta: self.meta,
        }
    }

    /// The rows, and where in the list they are: for answers in another form than the envelope.
    #[must_use]
    pub fn into_parts(self) -> (Vec<T>, Page) {
        let number = |name: &str| self.meta.get(name).and_then(Value::as_u64);
        let small = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
        let cursor = self.meta.get("next_cursor").and_then(Value::as_str);
        let page = Page {
            page: small("page"),
            limit: small("limit").unwrap_or_default(),
            total: number("total"),
            total_pages: number("total_pages"),
            next_cursor: cursor.map(str::to_owned),
        };
        (self.rows, page)
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[T] {
        &self.rows
    }
}

impl<T: Serialize + ToSchema> Reply for Listed<T> {
    fn describe(description: &mut Description) {
        description.reply = ReplyShape::Many(description.schemas.of::<T>());
    }

    fn into_outcome(self) -> Outcome {
        match serde_json::value::to_raw_value(&self.rows) {
            Ok(data) => {
                let stored = StoredSuccess {
                    status: 200,
                    location: None,
                    etag: None,
                    data: Some(data),
                };
                Outcome::Success(Success {
                    meta: self.meta,
                    ..Success::of(stored)
                })
            }
            Err(error) => Outcome::Problem(Problem::internal(error)),
        }
    }
}
