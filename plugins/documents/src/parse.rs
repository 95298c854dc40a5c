//! From bytes to what a shape keeps of them.
//!
//! Owns the rules of reading: which key is which field, what occurs twice, what may stand where.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::shape::Shape;
use crate::text::{folded, is_same, normalized};

/// Reads a document of a shape into a type whose fields have the names of the shape.
///
/// # Errors
/// What is wrong, where in the document (`layers[0].size`), in which line and column: bytes that
/// are not JSON, a value of another kind than the shape has, or a key that occurs twice. In an
/// object whose fields are known two keys are the same that differ in case alone, as they are for
/// Go; in any other object they are the same if they are equal.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], shape: &Shape) -> Result<T, serde_json::Error> {
    serde_json::from_value(value(bytes, shape)?)
}

/// Reads what a shape keeps of a document. Fields have the names of the shape, however they are
/// written; `null` is absent.
///
/// # Errors
/// Those of [`parse`].
pub fn value(bytes: &[u8], shape: &Shape) -> Result<Value, serde_json::Error> {
    let text = normalized(bytes);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let node = Node {
        shape,
        place: &Place::Top,
    };
    let value = node.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value.unwrap_or_default())
}

/// Where in a document.
enum Place<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => formatter.write_str("the document"),
            Self::Field(Self::Top, name) => write!(formatter, "`{name}`"),
            Self::Item(Self::Top, number) => write!(formatter, "item {number}"),
            Self::Field(outer, name) => write!(formatter, "`{name}` in {outer}"),
            Self::Item(outer, number) => write!(formatter, "item {number} of {outer}"),
        }
    }
}

/// A value that is about to be read. Reading gives `None` for what counts as absent.
#[derive(Clone, Copy)]
struct Node<'a> {
    shape: &'a Shape,
    place: &'a Place<'a>,
}

impl<'a> Node<'a> {
    /// The shape that is meant, where something else may stand as well.
    fn meant(&self) -> &'a Shape {
        match self.shape {
            Shape::Perhaps(shape) => shape,
            shape => shape,
        }
    }

    /// Keeps a value that is neither a list nor an object.
    fn plain<E: Error>(
        self,
        is_kind: bool,
        value: impl FnOnce() -> Value,
        found: Unexpected<'_>,
    ) -> Result<Option<Value>, E> {
        match self.meant() {
            Shape::Any => Ok(Some(value())),
            Shape::Presence => Ok(Some(Value::Bool(true))),
            Shape::Unread => Ok(None),
            Shape::Text | Shape::Number if is_kind => Ok(Some(value())),
            _ => self.other(found),
        }
    }

    /// What is of another kind than the shape.
    fn other<E: Error>(self, found: Unexpected<'_>) -> Result<Option<Value>, E> {
        if self.shape.is_lenient() {
            return Ok(None);
        }
        Err(E::custom(format_args!(
            "{} is {found}, and has to be {}",
            self.place,
            self.shape.expected()
        )))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.shape.expected())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        // The top of a document is not a field, and must be present.
        match (self.place, self.shape) {
            (Place::Top, _) => self.other(Unexpected::Other("null")),
            _ => Ok(None),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.plain(false, || value.into(), Unexpected::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        let is_kind = matches!(self.meant(), Shape::Number);
        self.plain(is_kind, || value.into(), Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let is_kind = matches!(self.meant(), Shape::Number) && i64::try_from(value).is_ok();
        self.plain(is_kind, || value.into(), Unexpected::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.plain(false, || value.into(), Unexpected::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let is_kind = matches!(self.meant(), Shape::Text);
        self.plain(is_kind, || value.into(), Unexpected::Other("a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (item_shape, is_kept) = match self.meant() {
            Shape::List(item) => (*item, true),
            Shape::Any => (&Shape::Any, true),
            _ => (&Shape::Unread, false),
        };
        let mut items = Vec::new();
        let mut number = 0;
        loop {
            let node = Node {
                shape: item_shape,
                place: &Place::Item(self.place, number),
            };
            let Some(item) = list.next_element_seed(node)? else {
                break;
            };
            if is_kept {
                items.push(item.unwrap_or_else(|| absent(item_shape)));
            }
            number += 1;
        }
        match self.meant() {
            _ if is_kept => Ok(Some(Value::Array(items))),
            Shape::Presence => Ok(Some(Value::Bool(true))),
            Shape::Unread => Ok(None),
            _ => self.other(Unexpected::Other("a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        match self.meant() {
            Shape::Record(fields) => record(self.place, fields, map).map(Some),
            Shape::Map(value) => object(self.place, value, map).map(Some),
            Shape::Any => object(self.place, &Shape::Any, map).map(Some),
            Shape::Presence => {
                object(self.place, &Shape::Unread, map).map(|_| Some(Value::Bool(true)))
            }
            Shape::Unread => object(self.place, &Shape::Unread, map).map(|_| None),
            _ => {
                object(self.place, &Shape::Unread, map)?;
                self.other(Unexpected::Other("an object"))
            }
        }
    }
}

/// What `null` is in a list or a map, where Go has the zero value of the type.
fn absent(shape: &Shape) -> Value {
    match shape {
        Shape::Text => Value::String(String::new()),
        Shape::Record(_) | Shape::Map(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

/// Reads an object whose fields are known.
fn record<'de, A: MapAccess<'de>>(
    place: &Place<'_>,
    fields: &'static [(&'static str, Shape)],
    mut map: A,
) -> Result<Value, A::Error> {
    let mut kept = Map::new();
    let mut seen: Vec<Cow<'de, str>> = Vec::new();
    while let Some(Key(key)) = map.next_key()? {
        let field = fields.iter().find(|(name, _)| is_same(name, &key));
        let (name, shape) = field.map_or((&*key, &Shape::Unread), |(name, shape)| (*name, shape));
        let node = Node {
            shape,
            place: &Place::Field(place, name),
        };
        let value = map.next_value_seed(node)?;
        if let (Some(value), Some((name, _))) = (value, field) {
            kept.insert((*name).to_owned(), value);
        }
        seen.push(key);
    }
    seen.sort_unstable_by(|one, other| folded(one).cmp(folded(other)));
    let same = seen.windows(2).find_map(|pair| match pair {
        [one, other] if is_same(one, other) => Some((one, other)),
        _ => None,
    });
    match same {
        None => Ok(Value::Object(kept)),
        Some((one, other)) if one == other => Err(twice(place, one)),
        Some((one, other)) => Err(A::Error::custom(format_args!(
            "the keys `{one}` and `{other}` are one field in {place}: readers differ in which of \
             them counts"
        ))),
    }
}

/// Reads an object whose keys are of the author's choosing.
fn object<'de, A: MapAccess<'de>>(
    place: &Place<'_>,
    shape: &Shape,
    mut map: A,
) -> Result<Value, A::Error> {
    let is_kept = !matches!(shape, Shape::Unread);
    let mut kept = Map::new();
    let mut seen = BTreeSet::new();
    while let Some(Key(key)) = map.next_key()? {
        let node = Node {
            shape,
            place: &Place::Field(place, &key),
        };
        let value = map.next_value_seed(node)?;
        if is_kept {
            if kept.contains_key(&*key) {
                return Err(twice(place, &key));
            }
            kept.insert(key.into_owned(), value.unwrap_or_else(|| absent(shape)));
        } else if let Some(key) = seen.replace(key) {
            return Err(twice(place, &key));
        }
    }
    Ok(Value::Object(kept))
}

fn twice<E: Error>(place: &Place<'_>, key: &str) -> E {
    E::custom(format_args!(
        "the key `{key}` occurs twice in {place}: readers differ in which of the two counts"
    ))
}

/// A key, without a copy where the document has it in plain letters.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Keys)
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
