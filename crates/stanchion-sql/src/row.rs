use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{FromValue, SqlError, Value};

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// What a statement gave: its rows, and how many it changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) affected: u64,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// Column `index` (from 0) as `T`; a nullable column is read as `Option<T>`.
    ///
    /// # Errors
    /// [`SqlError::Decode`]: there is no such column, or it holds something else.
    pub fn get<'a, T: FromValue<'a>>(&'a self, index: usize) -> Result<T, SqlError> {
        let value = self.value(index)?;
        T::from_value(value).ok_or_else(|| self.mismatch(index, T::WANTED, value.kind()))
    }

    /// The column of that name as `T`.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn named<'a, T: FromValue<'a>>(&'a self, name: &str) -> Result<T, SqlError> {
        let index = self.columns.iter().position(|column| column == name);
        self.get(index.ok_or_else(|| SqlError::Decode(format!("no column `{name}`")))?)
    }

    /// A JSON column as `T`.
    ///
    /// # Errors
    /// [`SqlError::Decode`]: it is not JSON, or not that of a `T`.
    pub fn json<T: DeserializeOwned>(&self, index: usize) -> Result<T, SqlError> {
        let value = self.value(index)?;
        let read = match value {
            Value::Text(text) => serde_json::from_str(text),
            Value::Json(value) => T::deserialize(value),
            // SQLite's affinity of a `json` column turns a bare number into one.
            Value::I64(number) => T::deserialize(serde_json::Value::from(*number)),
            Value::F64(number) => T::deserialize(serde_json::Value::from(*number)),
            Value::Null => T::deserialize(serde_json::Value::Null),
            other => return Err(self.mismatch(index, "json", other.kind())),
        };
        read.map_err(|error| self.mismatch(index, "the wanted json", &error.to_string()))
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// All values, in order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    fn value(&self, index: usize) -> Result<&Value, SqlError> {
        let width = self.values.len();
        let missing = || SqlError::Decode(format!("no column {index}: the row has {width}"));
        self.values.get(index).ok_or_else(missing)
    }

    fn mismatch(&self, index: usize, wanted: &str, found: &str) -> SqlError {
        let name = self.columns.get(index).map_or("?", String::as_str);
        SqlError::Decode(format!(
            "column {index} (`{name}`) is not {wanted} but {found}"
        ))
    }
}

impl Outcome {
    pub(crate) fn at_most_one(self) -> Result<Option<Row>, SqlError> {
        let count = self.rows.len();
        let mut rows = self.rows.into_iter();
        match (rows.next(), rows.next()) {
            (first, None) => Ok(first),
            _ => Err(SqlError::Decode(format!(
                "at most one row was expected, {count} came"
            ))),
        }
    }
}
