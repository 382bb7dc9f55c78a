use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::cursor::Cursor;
use super::query::{pairs, typed};
use crate::context::Context;
use crate::describe::{Describe, Description};
use crate::json::clean;
use crate::{Problem, codes};

/// Rows on a page unless the client says otherwise.
const LIMIT_DEFAULT: u32 = 20;
/// The most rows on a page.
const LIMIT_MAX: u32 = 100;
/// How deep pages go; cursors go to any depth.
const DEPTH_MAX: u64 = 10_000;
/// The longest filter or cursor text.
const FILTER_CHARS_MAX: usize = 255;

/// What a list can be filtered and sorted by.
///
/// The fields of the type are the filters (all `Option`), [`SORTS`](Self::SORTS) the allowed sorts.
///
/// ```
/// # use serde::Deserialize;
/// # use utoipa::ToSchema;
/// #[derive(Deserialize, ToSchema)]
/// struct OrderFilters { status: Option<String> }
/// impl stanchion_server::Filters for OrderFilters {
///     const SORTS: &'static [&'static str] = &["placed_at", "total"];
/// }
/// ```
pub trait Filters: DeserializeOwned + ToSchema + Send {
    /// The fields a list may be sorted by; the first is the default.
    const SORTS: &'static [&'static str];
}

/// The direction of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest or newest first.
    Desc,
}

/// Which rows of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Paging {
    /// A page, from 1, with totals.
    Page(u32),
    /// After the row with this key.
    After(Value),
}

/// What a client wants of a list: filters, sort, page or cursor.
///
/// Read at most [`fetch`](Self::fetch) rows and hand them to [`Listed::of`](crate::Listed::of).
#[derive(Clone, Debug)]
pub struct Listing<F> {
    /// The filters.
    pub filters: F,
    /// The field to sort by, one of [`Filters::SORTS`].
    pub sort: &'static str,
    /// Its direction; unless given, times sort newest first, everything else ascending.
    pub order: Order,
    /// Rows wanted, 1 to 100.
    pub limit: u32,
    /// Which rows.
    pub paging: Paging,
    pub(crate) filter_texts: Vec<(String, String)>,
    pub(crate) context: Arc<Context>,
}

impl<F: Filters> Listing<F> {
    /// The listing that these parameters spell, for what does not come as a query: text as a client wrote it, nothing for
    /// what was not sent.
    ///
    /// # Errors
    /// As for the same parameters in a query; `INTERNAL` outside of a request.
    pub fn of<'a>(
        parameters: impl IntoIterator<Item = (&'a str, Option<String>)>,
    ) -> Result<Self, Problem> {
        let context = Context::current();
        let context = context.ok_or_else(|| Problem::internal("a listing outside a request"))?;
        let sent = parameters.into_iter();
        let sent = sent.filter_map(|(name, value)| Some((name, value?)));
        let cleaned = sent.map(|(name, value)| {
            let value = clean(value).map_err(|why| Problem::invalid_parameter(name, why))?;
            Ok((name.to_owned(), value))
        });
        let cleaned: Result<Vec<_>, Problem> = cleaned.collect();
        Wanted::of(cleaned?)?.listing(context)
    }
}

impl<F> Listing<F> {
    /// How many rows to read: one more than wanted, which tells whether there are more.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// How many rows to skip; zero with a cursor.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self.paging {
            Paging::Page(page) => i64::from(page - 1) * i64::from(self.limit),
            Paging::After(_) => 0,
        }
    }

    /// Whether the answer tells totals.
    #[must_use]
    pub fn wants_total(&self) -> bool {
        matches!(self.paging, Paging::Page(_))
    }

    /// The key of the row before the wanted ones, with a cursor.
    ///
    /// # Errors
    /// 400 `INVALID_CURSOR` if the list's keys looked different when the cursor was made.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        match &self.paging {
            Paging::Page(_) => Ok(None),
            Paging::After(key) => serde_json::from_value(key.clone())
                .map(Some)
                .map_err(|_| codes::INVALID_CURSOR.problem()),
        }
    }

    /// A cursor to what follows the row with this key; good for the same list, of the same service.
    #[must_use]
    pub fn cursor_after(&self, key: &impl Serialize) -> String {
        let cursor = Cursor {
            endpoint: self.context.endpoint().unwrap_or_default().to_owned(),
            sort: self.sort.to_owned(),
            descending: self.order == Order::Desc,
            filters: self.filter_texts.clone(),
            limit: self.limit,
            key: serde_json::to_value(key).unwrap_or_default(),
        };
        cursor.stamp(&self.context.lent.signer)
    }
}

impl<F: Filters, S: Sync> FromRequestParts<S> for Listing<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = Context::of(parts)?;
        Wanted::of(pairs(parts.uri.query().unwrap_or_default())?)?.listing(context)
    }
}

/// The parameters every list has, taken out of the query; the rest are filters.
#[derive(Default)]
struct Wanted {
    page: Option<String>,
    limit: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    cursor: Option<String>,
    filters: Vec<(String, String)>,
}

impl Wanted {
    fn of(parameters: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in parameters {
            let slot = match name.as_str() {
                "page" => &mut wanted.page,
                "limit" => &mut wanted.limit,
                "sort" => &mut wanted.sort,
                "order" => &mut wanted.order,
                "cursor" => &mut wanted.cursor,
                _ => {
                    wanted.add_filter(name, value)?;
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(Problem::invalid_parameter(&name, "is given more than once"));
            }
        }
        wanted.filters.sort();
        Ok(wanted)
    }

    fn add_filter(&mut self, name: String, value: String) -> Result<(), Problem> {
        if value.chars().count() > FILTER_CHARS_MAX {
            let reason = format!("must have at most {FILTER_CHARS_MAX} characters");
            return Err(Problem::invalid_parameter(&name, reason));
        }
        self.filters.push((name, value));
        Ok(())
    }

    fn listing<F: Filters>(self, context: Arc<Context>) -> Result<Listing<F>, Problem> {
        // Filters are read first, so that a wrong one is named whatever the cursor says.
        let _: F = typed(self.filters.clone())?;
        let limit = self
            .limit
            .as_deref()
            .map(|text| number("limit", text, LIMIT_MAX))
            .transpose()?;
        let sort = self.sort.as_deref().map(sort::<F>).transpose()?;
        let order = self.order.as_deref().map(order).transpose()?;
        if let Some(text) = &self.cursor {
            if self.page.is_some() {
                return Err(Problem::invalid_parameter(
                    "page",
                    "does not go with a cursor",
                ));
            }
            let cursor = Cursor::read(&context.lent.signer, text);
            return cursor
                .and_then(|cursor| self.resume(cursor, sort, order, limit, context))
                .ok_or_else(|| codes::INVALID_CURSOR.problem());
        }
        let sort = sort.unwrap_or(F::SORTS[0]);
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        Ok(Listing {
            filters: typed(self.filters.clone())?,
            sort,
            order: order.unwrap_or_else(|| usual_order(sort)),
            limit,
            paging: Paging::Page(page(self.page.as_deref(), limit)?),
            filter_texts: self.filters,
            context,
        })
    }

    /// Goes on where a cursor points. It carries sort and filters; what is sent beside it must agree.
    fn resume<F: Filters>(
        self,
        cursor: Cursor,
        sort: Option<&'static str>,
        order: Option<Order>,
        limit: Option<u32>,
        context: Arc<Context>,
    ) -> Option<Listing<F>> {
        let kept_order = if cursor.descending {
            Order::Desc
        } else {
            Order::Asc
        };
        let kept_sort = F::SORTS.iter().find(|sort| **sort == cursor.sort)?;
        let agrees = context.endpoint() == Some(&cursor.endpoint)
            && sort.is_none_or(|sort| sort == *kept_sort)
            && order.is_none_or(|order| order == kept_order)
            && (self.filters.is_empty() || self.filters == cursor.filters);
        agrees.then_some(())?;
        Some(Listing {
            filters: typed(cursor.filters.clone()).ok()?,
            sort: kept_sort,
            order: kept_order,
            limit: limit.unwrap_or(cursor.limit),
            paging: Paging::After(cursor.key),
            filter_texts: cursor.filters,
            context,
        })
    }
}

fn number(name: &str, text: &str, max: u32) -> Result<u32, Problem> {
    let parsed = text
        .parse::<u32>()
        .ok()
        .filter(|number| (1..=max).contains(number));
    parsed.ok_or_else(|| {
        Problem::invalid_parameter(name, format!("must be a number from 1 to {max}"))
    })
}

fn page(text: Option<&str>, limit: u32) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(1) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.bytes().all(|byte| byte == b'0') {
        return Err(Problem::invalid_parameter(
            "page",
            "must be a number from 1",
        ));
    }
    let page = text.parse::<u32>().ok();
    page.filter(|page| u64::from(*page) * u64::from(limit) <= DEPTH_MAX)
        .ok_or_else(|| {
            let reason = format!(
                "page × limit must not exceed {DEPTH_MAX}; go deeper with cursor=<meta.next_cursor>"
            );
            Problem::invalid_parameter("page", reason)
        })
}

fn sort<F: Filters>(text: &str) -> Result<&'static str, Problem> {
    let known = F::SORTS.iter().find(|sort| **sort == text).copied();
    known.ok_or_else(|| {
        Problem::invalid_parameter("sort", format!("must be one of {}", F::SORTS.join(", ")))
    })
}

fn order(text: &str) -> Result<Order, Problem> {
    match text {
        "asc" => Ok(Order::Asc),
        "desc" => Ok(Order::Desc),
        _ => Err(Problem::invalid_parameter("order", "must be asc or desc")),
    }
}

fn usual_order(sort: &str) -> Order {
    if sort.ends_with("_at") {
        Order::Desc
    } else {
        Order::Asc
    }
}

impl<F: Filters> Describe for Listing<F> {
    fn describe(description: &mut Description) {
        let pages = json!({"type": "integer", "minimum": 1, "maximum": DEPTH_MAX, "default": 1});
        let limits = json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT});
        for property in description.schemas.properties::<F>() {
            let mut schema = property.schema;
            if schema["type"] == "string"
                && schema.get("enum").is_none()
                && schema.get("maxLength").is_none()
            {
                schema["maxLength"] = FILTER_CHARS_MAX.into();
            }
            description.query(&property.name, property.required, &property.about, schema);
        }
        description.query(
            "page",
            false,
            "Page from 1; page × limit is at most 10,000.",
            pages,
        );
        description.query("limit", false, "Rows on a page.", limits);
        let sorts = json!({"type": "string", "enum": F::SORTS, "default": F::SORTS[0]});
        description.query("sort", false, "The field to sort by.", sorts);
        let about = "Times sort newest first (desc) and everything else ascending, unless given.";
        description.query(
            "order",
            false,
            about,
            json!({"type": "string", "enum": ["asc", "desc"]}),
        );
        let about = "`meta.next_cursor` of an earlier answer: goes on from there, at any depth, instead of `page`.";
        description.query("cursor", false, about, json!({"type": "string"}));
        description.code(codes::INVALID_PARAMETER);
        description.code(codes::INVALID_CURSOR);
    }
}
