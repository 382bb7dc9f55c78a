use jiff::Timestamp;
use uuid::Uuid;

/// One parameter or column.
///
/// SQLite keeps a uuid as 16 bytes, a timestamp as microseconds since 1970, JSON as text and a bool
/// as 0 or 1; reading gives back what was written through [`FromValue`], whichever database it was.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value; fits any column.
    Null,
    /// True or false.
    Bool(bool),
    /// Any whole number; a narrower column refuses what does not fit.
    I64(i64),
    /// A floating point number.
    F64(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(Uuid),
    /// An instant, cut to whole microseconds.
    Timestamp(Timestamp),
    /// JSON, for writing; what is read is [`Value::Text`] and parsed when asked for.
    Json(serde_json::Value),
}

/// Parameters of a statement: `$1` is the first.
pub type Params = Vec<Value>;

/// Makes [`Params`] of anything that is `Into<Value>`.
///
/// ```
/// use stanchion_sql::{params, Value};
/// assert_eq!(params!["a", 1, None::<bool>], vec![Value::Text("a".into()), Value::I64(1), Value::Null]);
/// ```
#[macro_export]
macro_rules! params {
    () => { $crate::Params::new() };
    ($($value:expr),+ $(,)?) => { ::std::vec![$($crate::Value::from($value)),+] };
}

impl Value {
    /// What kind of value it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::I64(_) => "a whole number",
            Self::F64(_) => "a floating point number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "a uuid",
            Self::Timestamp(_) => "a timestamp",
            Self::Json(_) => "json",
        }
    }
}

macro_rules! from {
    ($($source:ty => |$value:ident| $make:expr;)+) => {
        $(impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $make
            }
        })+
    };
}

from! {
    bool => |value| Self::Bool(value);
    i8 => |value| Self::I64(value.into());
    i16 => |value| Self::I64(value.into());
    i32 => |value| Self::I64(value.into());
    i64 => |value| Self::I64(value);
    u8 => |value| Self::I64(value.into());
    u16 => |value| Self::I64(value.into());
    u32 => |value| Self::I64(value.into());
    f32 => |value| Self::F64(value.into());
    f64 => |value| Self::F64(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    &[u8] => |value| Self::Bytes(value.to_vec());
    Vec<u8> => |value| Self::Bytes(value);
    Uuid => |value| Self::Uuid(value);
    Timestamp => |value| Self::Timestamp(whole_microseconds(value));
    serde_json::Value => |value| Self::Json(value);
    stanchion_messaging::Position => |value| Self::I64(value.0);
    stanchion_messaging::LogId => |value| Self::Uuid(value.0);
    stanchion_eventsourcing::Version => |value| Self::I64(value.0);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Clone + Into<Value>> From<&T> for Value {
    fn from(value: &T) -> Self {
        value.clone().into()
    }
}

/// What a column can be read as.
pub trait FromValue<'a>: Sized {
    /// What is asked for, for messages.
    const WANTED: &'static str;

    /// Reads it; `None` if the value is of another type or out of range.
    fn from_value(value: &'a Value) -> Option<Self>;
}

macro_rules! read {
    ($($target:ty, $wanted:literal => { $($pattern:pat => $made:expr),+ $(,)? })+) => {
        $(impl<'a> FromValue<'a> for $target {
            const WANTED: &'static str = $wanted;
            fn from_value(value: &'a Value) -> Option<Self> {
                match value { $($pattern => $made,)+ _ => None }
            }
        })+
    };
}

read! {
    bool, "a bool" => { Value::Bool(value) => Some(*value), Value::I64(0) => Some(false), Value::I64(1) => Some(true) }
    i16, "a 16 bit number" => { Value::I64(value) => (*value).try_into().ok() }
    i32, "a 32 bit number" => { Value::I64(value) => (*value).try_into().ok() }
    i64, "a whole number" => { Value::I64(value) => Some(*value) }
    u16, "a 16 bit number" => { Value::I64(value) => (*value).try_into().ok() }
    u32, "a 32 bit number" => { Value::I64(value) => (*value).try_into().ok() }
    u64, "a positive number" => { Value::I64(value) => (*value).try_into().ok() }
    usize, "a positive number" => { Value::I64(value) => (*value).try_into().ok() }
    f64, "a floating point number" => { Value::F64(value) => Some(*value), Value::I64(value) => Some(*value as f64) }
    &'a str, "text" => { Value::Text(value) => Some(value) }
    String, "text" => { Value::Text(value) => Some(value.clone()) }
    &'a [u8], "bytes" => { Value::Bytes(value) => Some(value) }
    Vec<u8>, "bytes" => { Value::Bytes(value) => Some(value.clone()) }
    Uuid, "a uuid" => { Value::Uuid(value) => Some(*value), Value::Bytes(bytes) => Uuid::from_slice(bytes).ok() }
    Timestamp, "a timestamp" => { Value::Timestamp(value) => Some(*value), Value::I64(micros) => from_microseconds(*micros).ok() }
    serde_json::Value, "json" => { Value::Json(value) => Some(value.clone()), Value::Text(text) => serde_json::from_str(text).ok(), Value::I64(number) => Some((*number).into()), Value::F64(number) => Some((*number).into()) }
    stanchion_messaging::Position, "a position" => { Value::I64(value) => Some(Self(*value)) }
    stanchion_messaging::LogId, "a log id" => { Value::Uuid(value) => Some(Self(*value)), Value::Bytes(bytes) => Uuid::from_slice(bytes).ok().map(Self) }
    stanchion_eventsourcing::Version, "a version" => { Value::I64(value) => Some(Self(*value)) }
}

impl<'a> FromValue<'a> for Value {
    const WANTED: &'static str = "any value";

    fn from_value(value: &'a Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// Both databases keep microseconds: what is written equals what is read.
fn whole_microseconds(exact: Timestamp) -> Timestamp {
    from_microseconds(exact.as_microsecond())
        .expect("a cut timestamp is within the range of the exact one")
}

/// jiff's own `from_microsecond` refuses the last second that a timestamp can be in.
pub(crate) fn from_microseconds(micros: i64) -> Result<Timestamp, jiff::Error> {
    let nanos = micros.rem_euclid(1_000_000) * 1_000;
    Timestamp::new(micros.div_euclid(1_000_000), nanos as i32)
}
