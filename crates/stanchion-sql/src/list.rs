use crate::{Params, Query, Row, SqlError, Value, params};

/// One page or stretch of a table, by keyset or offset; see [`List::rows`] and [`List::total`].
///
/// Identifiers are the program's own text and never a client's. Rows are ordered by the sort column
/// and then by the tie column, which must be unique, so that a page never shows a row twice.
///
/// ```
/// # use stanchion_sql::{Db, List, params};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion_sql::SqlError> {
/// # let db = Db::memory("inventory")?;
/// db.script("create table stock (sku text primary key, free bigint not null)").await?;
/// for (sku, free) in [("a", 3), ("b", 1), ("c", 2)] {
///     db.exec("insert into stock (sku, free) values ($1, $2)", params![sku, free]).await?;
/// }
/// let list = List::of("stock", "sku, free", "sku").filter("free > #", 1).sorted_by("free", true);
/// let rows = list.rows(&db, 10).await?;
/// assert_eq!(rows[0].get::<&str>(0)?, "a");
/// assert_eq!(list.total(&db).await?, 2);
/// let after = list.after(params![3, "a"]).rows(&db, 10).await?;
/// assert_eq!(after[0].get::<&str>(0)?, "c");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct List {
    table: &'static str,
    columns: &'static str,
    tie: &'static str,
    sort: &'static str,
    descending: bool,
    filters: Vec<(&'static str, Vec<Value>)>,
    after: Option<(Value, Value)>,
    offset: i64,
}

impl List {
    /// The columns of a table, ordered by its unique `tie` column unless sorted otherwise.
    #[must_use]
    pub fn of(table: &'static str, columns: &'static str, tie: &'static str) -> Self {
        Self {
            table,
            columns,
            tie,
            sort: tie,
            descending: false,
            filters: Vec::new(),
            after: None,
            offset: 0,
        }
    }

    /// Only rows for which this holds; every `#` stands for the value.
    #[must_use]
    pub fn filter(mut self, condition: &'static str, value: impl Into<Value>) -> Self {
        self.filters.push((condition, vec![value.into()]));
        self
    }

    /// The same when there is a value.
    #[must_use]
    pub fn filter_some<V: Into<Value>>(self, condition: &'static str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.filter(condition, value),
            None => self,
        }
    }

    /// Only rows for which this holds.
    #[must_use]
    pub fn only(mut self, condition: &'static str) -> Self {
        self.filters.push((condition, Vec::new()));
        self
    }

    /// Ordered by this column, then by the tie column in the same direction.
    #[must_use]
    pub fn sorted_by(mut self, column: &'static str, descending: bool) -> Self {
        self.sort = column;
        self.descending = descending;
        self
    }

    /// Only rows after the one with these values of sort and tie column.
    #[must_use]
    pub fn after(mut self, key: Params) -> Self {
        let mut key = key.into_iter();
        self.after = key.next().zip(key.next());
        self
    }

    /// Skips so many rows.
    #[must_use]
    pub fn offset(mut self, offset: i64) -> Self {
        self.offset = offset;
        self
    }

    /// At most `limit` rows.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn rows(&self, db: &(impl Query + ?Sized), limit: i64) -> Result<Vec<Row>, SqlError> {
        let (mut conditions, mut params) = self.conditions();
        if let Some((sort, tie)) = &self.after {
            let beyond = if self.descending { "<" } else { ">" };
            params.extend([sort.clone(), tie.clone()]);
            let (first, second) = (params.len() - 1, params.len());
            conditions.push(format!(
                "({}, {}) {beyond} (${first}, ${second})",
                self.sort, self.tie
            ));
        }
        params.extend(params![limit, self.offset]);
        let direction = if self.descending { "desc" } else { "asc" };
        let sql = format!(
            "select {} from {}{} order by {} {direction}, {} {direction} limit ${} offset ${}",
            self.columns,
            self.table,
            clause(&conditions),
            self.sort,
            self.tie,
            params.len() - 1,
            params.len(),
        );
        db.query(&sql, params).await
    }

    /// How many rows there are, whatever page is shown.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn total(&self, db: &(impl Query + ?Sized)) -> Result<u64, SqlError> {
        let (conditions, params) = self.conditions();
        let sql = format!("select count(*) from {}{}", self.table, clause(&conditions));
        db.one(&sql, params).await?.get(0)
    }

    fn conditions(&self) -> (Vec<String>, Params) {
        let mut params = Params::new();
        let conditions = self.filters.iter().map(|(condition, values)| {
            params.extend(values.iter().cloned());
            format!(
                "({})",
                condition.replace('#', &format!("${}", params.len()))
            )
        });
        (conditions.collect(), params)
    }
}

fn clause(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!(" where {}", conditions.join(" and "))
}
