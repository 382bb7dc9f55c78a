//! A deserializer over a JSON tree that knows where it is and what exactly does not fit.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// Whole floats up to here are integers without loss.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// What does not fit, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Such as `items[0].sku`; empty for the whole value.
    pub(crate) path: String,
    pub(crate) kind: MisfitKind,
    placed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MisfitKind {
    /// The path names a field that is not known.
    Unknown,
    /// The path names a field that is not there.
    Missing,
    /// The value is of the wrong type or out of its range.
    Wrong(String),
}

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

struct Typed {
    value: Value,
    path: String,
    text: bool,
}

impl Misfit {
    fn new(kind: MisfitKind) -> Self {
        Self {
            path: String::new(),
            kind,
            placed: false,
        }
    }

    fn at(mut self, path: &str) -> Self {
        if !self.placed {
            self.path = if self.path.is_empty() {
                path.to_owned()
            } else {
                join(path, &self.path)
            };
            self.placed = true;
        }
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MisfitKind::Unknown => f.write_str("is not known"),
            MisfitKind::Missing => f.write_str("is required"),
            MisfitKind::Wrong(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(MisfitKind::Wrong(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be {}",
            plain(&expected.to_string())
        )))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = match unexpected {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => {
                "is out of range".to_owned()
            }
            _ => format!("must be {}", plain(&expected.to_string())),
        };
        Self::new(MisfitKind::Wrong(reason))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be {}",
            plain(&expected.to_string())
        )))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be one of {}",
            expected.join(", ")
        )))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self {
            path: field.to_owned(),
            ..Self::new(MisfitKind::Unknown)
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            path: field.to_owned(),
            ..Self::new(MisfitKind::Missing)
        }
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::custom("is given twice")
    }
}

/// Serde names Rust types; a client knows JSON's.
fn plain(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
        | "usize" => "an integer",
        "f32" | "f64" => "a number",
        "unit" => "null",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") || other.starts_with("variant ") => {
            "one of the known names"
        }
        other if other.starts_with("tuple ") => "an array",
        other => other,
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

impl Typed {
    fn misfit(&self, wanted: &str) -> Misfit {
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

struct Items<'p> {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    path: &'p str,
    text: bool,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some((nth, value)) = self.items.next() else {
            return Ok(None);
        };
        let path = format!("{}[{nth}]", self.path);
        // What a value finds wrong with itself (`try_from`) does not know where it stands.
        let element = seed.deserialize(Typed {
            value,
            path: path.clone(),
            text: self.text,
        });
        element.map(Some).map_err(|misfit| misfit.at(&path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields<'p> {
    fields: serde_json::map::IntoIter,
    next: Option<(String, Value)>,
    path: &'p str,
    text: bool,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((name, value)) = self.fields.next() else {
            return Ok(None);
        };
        let key: StringDeserializer<Misfit> = name.clone().into_deserializer();
        self.next = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (name, value) = self.next.take().expect("serde asks for a key first");
        let path = join(self.path, &name);
        let field = seed.deserialize(Typed {
            value,
            path: path.clone(),
            text: self.text,
        });
        field.map_err(|misfit| misfit.at(&path))
    }
}

struct Variant<'p> {
    variant: String,
    value: Option<Value>,
    path: &'p str,
    text: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name: StringDeserializer<Misfit> = self.variant.clone().into_deserializer();
        let value = seed
            .deserialize(name)
            .map_err(|misfit| misfit.at(self.path))?;
        Ok((value, self))
    }
}

impl Variant<'_> {
    fn content(self) -> Typed {
        let path = join(self.path, &self.variant);
        Typed {
            value: self.value.unwrap_or(Value::Null),
            path,
            text: self.text,
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(self.content().misfit("a name without content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.content())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.content().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.content().deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order {
        items: Vec<Item>,
        #[serde(default)]
        note: Option<String>,
        kind: Kind,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Item {
        sku: String,
        quantity: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Gift { to: String },
    }

    fn misfit(value: Value) -> (String, String) {
        let misfit = from_json::<Order>(value).unwrap_err();
        (misfit.path.clone(), misfit.to_string())
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(try_from = "String")]
    struct Sku(String);

    impl TryFrom<String> for Sku {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            if text.is_empty() {
                Err("must not be empty")
            } else {
                Ok(Self(text))
            }
        }
    }

    #[test]
    fn what_a_value_finds_wrong_with_itself_is_named_by_its_path() {
        #[derive(Debug, Deserialize)]
        struct Basket {
            #[allow(dead_code)]
            skus: Vec<Sku>,
            #[allow(dead_code)]
            gift: Option<Sku>,
        }
        let cases = [
            (json!({"skus": ["a", ""]}), "skus[1]"),
            (json!({"skus": [], "gift": ""}), "gift"),
        ];
        for (value, path) in cases {
            let misfit = from_json::<Basket>(value).unwrap_err();
            assert_eq!(
                (misfit.path.as_str(), misfit.to_string().as_str()),
                (path, "must not be empty")
            );
        }
    }

    #[test]
    fn every_misfit_is_named_by_its_path() {
        let item = json!({"sku": "a", "quantity": 1});
        let cases = [
            (json!([]), "", "must be an object"),
            (json!(7), "", "must be an object"),
            (
                json!({"items": [item], "kind": "plain", "extra": 1}),
                "extra",
                "is not known",
            ),
            (json!({"items": [item]}), "kind", "is required"),
            (
                json!({"items": [{"sku": "a"}], "kind": "plain"}),
                "items[0].quantity",
                "is required",
            ),
            (
                json!({"items": [item, {"sku": 1, "quantity": 1}], "kind": "plain"}),
                "items[1].sku",
                "must be a string",
            ),
            (
                json!({"items": [{"sku": "a", "quantity": -1}], "kind": "plain"}),
                "items[0].quantity",
                "is out of range",
            ),
            (
                json!({"items": [{"sku": "a", "quantity": 1.5}], "kind": "plain"}),
                "items[0].quantity",
                "must be an integer",
            ),
            (
                json!({"items": [{"sku": "a", "quantity": 1, "price": 0}], "kind": "plain"}),
                "items[0].price",
                "is not known",
            ),
            (
                json!({"items": [], "kind": "odd"}),
                "kind",
                "must be one of plain, gift",
            ),
            (
                json!({"items": [], "kind": {"gift": {}}}),
                "kind.gift.to",
                "is required",
            ),
            (
                json!({"items": {}, "kind": "plain"}),
                "items",
                "must be an array",
            ),
        ];
        for (value, path, reason) in cases {
            assert_eq!(
                misfit(value.clone()),
                (path.into(), reason.into()),
                "{value}"
            );
        }
    }

    #[test]
    fn whole_floats_are_integers() {
        let value = json!({"sku": "a", "quantity": 2.0});
        assert_eq!(from_json::<Item>(value).unwrap().quantity, 2);
    }

    #[test]
    fn texts_become_what_is_wanted() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Wanted {
            count: i64,
            flag: bool,
            names: Vec<String>,
            id: uuid::Uuid,
            absent: Option<u8>,
        }
        let id = uuid::Uuid::from_u128(7);
        let value = json!({"count": "-3", "flag": "true", "names": "a", "id": id.to_string()});
        let wanted = from_text::<Wanted>(value).unwrap();
        assert_eq!((wanted.count, wanted.flag, wanted.id), (-3, true, id));
        assert_eq!((wanted.names, wanted.absent), (vec!["a".to_owned()], None));
        let misfit = from_text::<Wanted>(json!({"count": "3x"})).unwrap_err();
        assert_eq!(
            (misfit.path.as_str(), misfit.to_string().as_str()),
            ("count", "must be an integer")
        );
    }
}
