//! The shapes that values of the settings may have beside those that serde knows.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

/// One text, or a list of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

/// Whether at all, or one text or a list of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FlagOrTexts {
    Flag(bool),
    Texts(OneOrMany),
}

/// An object. A struct alone could be read from a list as well.
pub(super) struct Object<T>(pub(super) T);

/// An object, or a text that says the most important of it.
pub(super) enum TextOrObject<T> {
    Text(String),
    Object(T),
}

impl<T> TextOrObject<T> {
    pub(super) fn into_object(self, from_text: impl FnOnce(String) -> T) -> T {
        match self {
            Self::Text(text) => from_text(text),
            Self::Object(object) => object,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl<'de> Deserialize<'de> for FlagOrTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = FlagOrTexts;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false, a string or a list of strings")
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<FlagOrTexts, E> {
                Ok(FlagOrTexts::Flag(flag))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FlagOrTexts, E> {
                Ok(FlagOrTexts::Texts(OneOrMany(vec![text.to_owned()])))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<FlagOrTexts, A::Error> {
                let texts = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(FlagOrTexts::Texts(OneOrMany(texts)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            // Shown with the error, a text could be a password.
            fn visit_str<E: Error>(self, _: &str) -> Result<Object<T>, E> {
                Err(E::invalid_type(Unexpected::Other("a string"), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        // Asked for an object alone, the parser would show the text that is there instead.
        deserializer.deserialize_any(Map(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOrObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOrObject<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOrObject::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOrObject::Object)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
