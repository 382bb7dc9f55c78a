//! What arrays, objects and enums are made of, each part with its path.

use serde::Deserializer;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

use super::misfit::{Misfit, join};
use super::typed::Typed;

pub(super) struct Items<'p> {
    pub(super) items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    pub(super) path: &'p str,
    pub(super) text: bool,
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

pub(super) struct Fields<'p> {
    pub(super) fields: serde_json::map::IntoIter,
    pub(super) next: Option<(String, Value)>,
    pub(super) path: &'p str,
    pub(super) text: bool,
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

pub(super) struct Variant<'p> {
    pub(super) variant: String,
    pub(super) value: Option<Value>,
    pub(super) path: &'p str,
    pub(super) text: bool,
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
