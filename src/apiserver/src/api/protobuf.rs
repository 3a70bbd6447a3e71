//! Protobuf bodies, `application/vnd.kubernetes.protobuf`: the four bytes `k8s\0`, then a `runtime.Unknown`.
//!
//! The table of the kind maps numbers to fields, so that a body is converted to JSON and the rest of the server knows only
//! JSON. Go writes empty texts and numbers in protobuf; in JSON they are left out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::json_text::VALUES_MAX;
use crate::schema::{Form, Type};
use crate::time::Moment;

/// The first bytes of a body.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The first bytes are wrong.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    /// It ends too early.
    #[error("unexpected EOF")]
    Truncated,
    /// A number has more than 64 bits, or a field an invalid number or wire type.
    #[error("proto: illegal tag or varint")]
    Malformed,
    /// A text is not UTF-8.
    #[error("proto: {0}: invalid UTF-8")]
    Text(&'static str),
    /// A field has another wire type than in the table.
    #[error("proto: wrong wireType = {found} for field {field}")]
    WireType {
        /// The field.
        field: &'static str,
        /// The type it has.
        found: u8,
    },
    /// The body has too many values.
    #[error("more than {VALUES_MAX} values")]
    Values,
    /// A time is out of range.
    #[error("proto: {0}: time out of range")]
    Time(&'static str),
}

/// The envelope of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown<'a> {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// The object.
    pub raw: &'a [u8],
}

/// Opens the envelope.
///
/// # Errors
/// [`ProtobufError`].
pub fn unwrap(bytes: &[u8]) -> Result<Unknown<'_>, ProtobufError> {
    let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?);
    let mut unknown = Unknown::default();
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut reader = Reader(bytes);
                while let Some((number, wire)) = reader.field()? {
                    match (number, wire) {
                        (1, Wire::Bytes(bytes)) => unknown.api_version = text(bytes, "apiVersion")?,
                        (2, Wire::Bytes(bytes)) => unknown.kind = text(bytes, "kind")?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => unknown.raw = bytes,
            _ => {}
        }
    }
    Ok(unknown)
}

/// Converts an object of the kind `schema` to JSON. Skips unknown fields. The depth is bounded by the table.
///
/// # Errors
/// [`ProtobufError`].
pub fn decode(bytes: &[u8], schema: &'static Type) -> Result<Map<String, Value>, ProtobufError> {
    message(bytes, schema, &mut 0)
}

/// Reads a message; `values` counts the values read so far.
fn message(
    bytes: &[u8],
    schema: &'static Type,
    values: &mut usize,
) -> Result<Map<String, Value>, ProtobufError> {
    let mut map = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        let inlined = schema.inlined.iter().find(|(own, _)| *own == number);
        if let (Some((_, inner)), Wire::Bytes(bytes)) = (inlined, wire) {
            map.extend(message(bytes, inner, values)?);
            continue;
        }
        let Some(field) = schema.numbered(number) else { continue };
        *values += 1;
        if *values > VALUES_MAX {
            return Err(ProtobufError::Values);
        }
        if let Form::List(item) = field.form {
            if let Value::Array(list) = map.entry(field.name).or_insert_with(|| Value::Array(Vec::new())) {
                list.extend(value(wire, *item, field.name, values)?);
            }
            continue;
        }
        if matches!(field.form, Form::Texts | Form::Quantities | Form::Blobs) {
            let (key, entry) = entry(wire, field.form, field.name)?;
            if let Value::Object(texts) = map.entry(field.name).or_insert_with(|| Value::Object(Map::new())) {
                texts.insert(key, entry);
            }
            continue;
        }
        match value(wire, field.form, field.name, values)? {
            None => map.remove(field.name),
            Some(value) if is_empty(&value) && !field.is_pointer => map.remove(field.name),
            Some(value) => map.insert(field.name.to_owned(), value),
        };
    }
    Ok(map)
}

/// Reads a value; `None` if JSON leaves it out.
fn value(
    wire: Wire<'_>,
    form: Form,
    name: &'static str,
    values: &mut usize,
) -> Result<Option<Value>, ProtobufError> {
    let found = match (form, wire) {
        (Form::Boolean, Wire::Number(number)) => Some(Value::from(number != 0)),
        #[allow(clippy::cast_possible_wrap, reason = "negative numbers are sent as their 64 bits")]
        (Form::Int32 | Form::Int64, Wire::Number(number)) => Some(Value::from(number as i64)),
        (Form::Text, Wire::Bytes(bytes)) => Some(text(bytes, name)?.into()),
        (Form::Time | Form::MicroTime, Wire::Bytes(bytes)) => time(bytes, form, name)?,
        (Form::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes, name)?,
        (Form::Quantity, Wire::Bytes(bytes)) => Some(text(first(bytes)?, name)?.into()),
        (Form::Object(schema), Wire::Bytes(bytes)) => Some(Value::Object(message(bytes, schema, values)?)),
        // Ignored fields: managedFields, ...
        (Form::Any, _) => None,
        (_, wire) => return Err(ProtobufError::WireType { field: name, found: wire.kind() }),
    };
    Ok(found)
}

/// Whether Go leaves the value out of JSON, if the field is not a pointer.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null | Value::Array(_) => false,
    }
}

fn text(bytes: &[u8], name: &'static str) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Text(name))
}

/// Field 1 of a message with a single field.
fn first(bytes: &[u8]) -> Result<&[u8], ProtobufError> {
    let mut reader = Reader(bytes);
    let mut found: &[u8] = &[];
    while let Some((number, wire)) = reader.field()? {
        if let (1, Wire::Bytes(bytes)) = (number, wire) {
            found = bytes;
        }
    }
    Ok(found)
}

/// An entry of a map: a message of key and value.
fn entry(wire: Wire<'_>, form: Form, name: &'static str) -> Result<(String, Value), ProtobufError> {
    let Wire::Bytes(bytes) = wire else {
        return Err(ProtobufError::WireType { field: name, found: wire.kind() });
    };
    let (mut key, mut value) = (String::new(), String::new());
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes, name)?,
            (2, Wire::Bytes(bytes)) if matches!(form, Form::Quantities) => value = text(first(bytes)?, name)?,
            (2, Wire::Bytes(bytes)) if matches!(form, Form::Blobs) => value = BASE64_STANDARD.encode(bytes),
            (2, Wire::Bytes(bytes)) => value = text(bytes, name)?,
            _ => {}
        }
    }
    Ok((key, value.into()))
}

/// `IntOrString`: which it is, the number, the text.
fn int_or_string(bytes: &[u8], name: &'static str) -> Result<Option<Value>, ProtobufError> {
    let (mut is_text, mut number, mut string) = (false, 0_i64, String::new());
    let mut reader = Reader(bytes);
    while let Some((field, wire)) = reader.field()? {
        match (field, wire) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            #[allow(clippy::cast_possible_wrap, reason = "negative numbers are sent as their 64 bits")]
            (2, Wire::Number(value)) => number = value as i64,
            (3, Wire::Bytes(bytes)) => string = text(bytes, name)?,
            _ => {}
        }
    }
    Ok(Some(if is_text { string.into() } else { number.into() }))
}

/// `Time`: seconds since 1970 and nanoseconds. An empty message is no time at all.
fn time(bytes: &[u8], form: Form, name: &'static str) -> Result<Option<Value>, ProtobufError> {
    let (mut seconds, mut nanos, mut is_empty) = (0, 0, true);
    let mut reader = Reader(bytes);
    while let Some((field, wire)) = reader.field()? {
        is_empty = false;
        match (field, wire) {
            (1, Wire::Number(number)) => seconds = number,
            (2, Wire::Number(number)) => nanos = number,
            _ => {}
        }
    }
    if is_empty {
        return Ok(None);
    }
    let out_of_range = || ProtobufError::Time(name);
    let nanos = u32::try_from(nanos).map_err(|_| out_of_range())?;
    // Times before 1970 are negative.
    let time = Moment::new(seconds.cast_signed(), nanos).ok_or_else(out_of_range)?;
    Ok(match form {
        _ if time.is_zero() => None,
        Form::MicroTime => Some(time.text_in_micros().into()),
        _ => Some(time.text().into()),
    })
}

/// What follows the number of a field.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl Wire<'_> {
    fn kind(self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Bytes(_) => 2,
            Self::Fixed => 1,
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next field; `None` at the end.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number =
            u32::try_from(tag >> 3).ok().filter(|number| *number != 0).ok_or(ProtobufError::Malformed)?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return Err(ProtobufError::Malformed),
        };
        Ok(Some((number, wire)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(ProtobufError::Truncated)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(ProtobufError::Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Malformed)
    }
}

#[cfg(test)]
#[path = "protobuf_tests.rs"]
mod tests;
