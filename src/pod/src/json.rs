//! JSON objects that are objects.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
};

/// A `T` that is written as a JSON object.
///
/// serde's derived structs also accept an array of their fields' values, which no OCI runtime and no API server
/// does: `["c", 42, "/b"]` is no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

/// Reads an object that may be null, for `deserialize_with`.
///
/// # Errors
/// Anything else.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// Reads a list of objects, null being an empty one.
///
/// # Errors
/// Anything else.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(list.into_iter().map(|Object(value)| value).collect())
}

/// Reads a value for which null, as Go writes an empty list, stands for its default.
///
/// # Errors
/// Anything else.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list of lists of objects, null being an empty one.
///
/// # Errors
/// Anything else.
pub fn object_lists<'de, D, T>(deserializer: D) -> Result<Vec<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let lists = Option::<Vec<Vec<Object<T>>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(lists.into_iter().map(|list| list.into_iter().map(|Object(value)| value).collect()).collect())
}

/// Reads only the members called `names` of the JSON object in `text`. The values of all others are skipped unread, so
/// that they can hold anything.
///
/// # Errors
/// Text that is no JSON object, or a member that is none of a `T`'s.
pub fn members<'de, T: Deserialize<'de>>(text: &'de str, names: &[&str]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = deserializer.deserialize_map(MembersVisitor { names, value: PhantomData })?;
    deserializer.end()?;
    Ok(value)
}

struct MembersVisitor<'n, T> {
    names: &'n [&'n str],
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Members { map, names: self.names }))
    }
}

/// The members of `map` that have one of these names.
struct Members<'n, A> {
    map: A,
    names: &'n [&'n str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<Cow<'de, str>>()? {
            if self.names.contains(&&*key) {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
