//! A deserializer over a JSON tree that knows where it is and what exactly does not fit.

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::misfit::{Misfit, MisfitKind};
use super::parts::{Fields, Items, Variant};

/// Whole floats up to here are integers without loss.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a `T` from a JSON tree; a field that `T` does not know is a misfit.
pub(crate) fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    T::deserialize(Typed {
        value,
        path: String::new(),
        text: false,
    })
}

/// Reads a `T` from texts (of a path or a query), which become numbers and booleans where `T` wants them.
pub(crate) fn from_text<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    T::deserialize(Typed {
        value,
        path: String::new(),
        text: true,
    })
}

/// A value that is read as a type.
pub(super) struct Typed {
    pub(super) value: Value,
    pub(super) path: String,
    pub(super) text: bool,
}

impl Typed {
    pub(super) fn misfit(&self, wanted: &str) -> Misfit {
        Misfit::new(MisfitKind::Wrong(format!("must be {wanted}"))).at(&self.path)
    }

    /// The value as a number: itself, a whole float, or (in texts) what the text says.
    fn number(self) -> Self {
        let value = match self.value {
            Value::String(text) if self.text => parse_number(&text).unwrap_or(Value::String(text)),
            Value::Number(number) => whole(&number).unwrap_or(Value::Number(number)),
            other => other,
        };
        Self { value, ..self }
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.number().deserialize_any(visitor)
    }
}

fn parse_number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unsigned = text.parse::<u64>().map(Value::from);
    unsigned
        .or_else(|_| text.parse::<i64>().map(Value::from))
        .ok()
}

fn whole(number: &serde_json::Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return None;
    }
    let float = number.as_f64()?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "checked to be whole and exact"
    )]
    (float.fract() == 0.0 && float.abs() <= EXACT_FLOAT_MAX).then(|| Value::from(float as i64))
}

impl<'de> Deserializer<'de> for Typed {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let Self { value, path, text } = self;
        let result = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::String(value) => visitor.visit_string(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (_, Some(value)) => visitor.visit_i64(value),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(items) => visitor.visit_seq(Items {
                items: items.into_iter().enumerate(),
                path: &path,
                text,
            }),
            Value::Object(fields) => visitor.visit_map(Fields {
                fields: fields.into_iter(),
                next: None,
                path: &path,
                text,
            }),
        };
        result.map_err(|misfit| misfit.at(&path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let path = self.path.clone();
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
        .map_err(|misfit| misfit.at(&path))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let path = self.path.clone();
        visitor
            .visit_newtype_struct(self)
            .map_err(|misfit| misfit.at(&path))
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Misfit> {
        if self.text {
            self.value = match self.value {
                Value::String(text) if text == "true" => Value::Bool(true),
                Value::String(text) if text == "false" => Value::Bool(false),
                other => other,
            };
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Misfit> {
        if self.text && !self.value.is_array() {
            self.value = Value::Array(vec![self.value]);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let path = self.path.clone();
        let text = self.text;
        let (variant, value) = match self.value {
            Value::String(variant) => (variant, None),
            Value::Object(fields) if fields.len() == 1 => {
                let (variant, value) = fields.into_iter().next().expect("it has one field");
                (variant, Some(value))
            }
            _ => return Err(self.misfit("one of the known names")),
        };
        let access = Variant {
            variant,
            value,
            path: &path,
            text,
        };
        visitor
            .visit_enum(access)
            .map_err(|misfit| misfit.at(&path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    /// Serde reads a struct from an array too; a client that sends one means something else.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.value.is_object() {
            self.deserialize_any(visitor)
        } else {
            Err(self.misfit("an object"))
        }
    }

    /// Serde ignores what a type does not know; we do not.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::new(MisfitKind::Unknown).at(&self.path))
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }
    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.integer(visitor)
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

#[cfg(test)]
#[path = "typed_tests.rs"]
mod tests;
