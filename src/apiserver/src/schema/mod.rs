//! The fields of a kind, in one table for all uses: which fields a body may have, their numbers in protobuf, which lists a
//! patch merges by a key, and the texts of `kubectl explain`.
//!
//! Names, numbers and keys are Kubernetes' own (`k8s.io/api/*/generated.proto`), the descriptions are not.

pub(crate) mod core;
pub mod meta;

/// A structure.
#[derive(Debug)]
pub struct Type {
    /// Its name in OpenAPI, the last part being that of the Go type: `io.k8s.api.core.v1.ServiceSpec`.
    pub name: &'static str,
    /// The text that `kubectl explain` shows.
    pub description: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Whether fields that are not in the table are kept as they are.
    pub is_open: bool,
}

/// A field of a structure.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its number in protobuf.
    pub number: u32,
    /// Its type.
    pub form: Form,
    /// How a strategic merge patch and apply treat a list.
    pub merge: Merge,
    /// Whether it is required.
    pub is_required: bool,
    /// Whether it is a pointer in Go: then 0, false and empty text differ from a missing field.
    pub is_pointer: bool,
    /// The text that `kubectl explain` shows.
    pub description: &'static str,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number that fits 32 bits.
    Int32,
    /// A number that fits 64 bits.
    Int64,
    /// A time, to the second in JSON.
    Time,
    /// A time, to the microsecond in JSON.
    MicroTime,
    /// A number or a name, as in `targetPort`.
    IntOrString,
    /// An amount, such as `100m`.
    Quantity,
    /// Any JSON.
    Any,
    /// Texts by name.
    Texts,
    /// Amounts by name.
    Quantities,
    /// A structure.
    Object(&'static Type),
    /// A list.
    List(&'static Form),
}

/// How two versions of a list are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The new one replaces the old.
    Replace,
    /// Their union.
    Set,
    /// Entries of the same key are merged: the key of a strategic merge patch, and the keys of apply.
    Key(&'static str, &'static [&'static str]),
}

impl Type {
    /// A structure.
    pub const fn new(name: &'static str, description: &'static str, fields: &'static [Field]) -> Self {
        Self { name, description, fields, is_open: false }
    }

    /// A structure with more fields than the table has.
    pub const fn open(name: &'static str, description: &'static str, fields: &'static [Field]) -> Self {
        Self { name, description, fields, is_open: true }
    }

    /// The name of the Go type: `ServiceSpec`.
    pub fn go_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// A field by its name in JSON.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A field by its number in protobuf.
    pub fn numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Field {
    /// An optional field.
    pub const fn new(number: u32, name: &'static str, form: Form, description: &'static str) -> Self {
        Self { name, number, form, merge: Merge::Replace, is_required: false, is_pointer: false, description }
    }

    /// Makes it required.
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Makes it a pointer.
    pub const fn pointer(mut self) -> Self {
        self.is_pointer = true;
        self
    }

    /// Merges its entries by a key.
    pub const fn keyed(mut self, key: &'static str, apply_keys: &'static [&'static str]) -> Self {
        self.merge = Merge::Key(key, apply_keys);
        self
    }

    /// Merges it as a set.
    pub const fn set(mut self) -> Self {
        self.merge = Merge::Set;
        self
    }
}

impl Form {
    /// The name of the Go type, for error messages.
    pub fn go_name(self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Boolean => "bool".to_owned(),
            Self::Int32 => "int32".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Time => "v1.Time".to_owned(),
            Self::MicroTime => "v1.MicroTime".to_owned(),
            Self::IntOrString => "intstr.IntOrString".to_owned(),
            Self::Quantity => "resource.Quantity".to_owned(),
            Self::Any => "v1.FieldsV1".to_owned(),
            Self::Texts => "map[string]string".to_owned(),
            Self::Quantities => "v1.ResourceList".to_owned(),
            Self::Object(inner) => format!("v1.{}", inner.go_name()),
            Self::List(item) => format!("[]{}", item.go_name()),
        }
    }

    /// The structure, also that of a list's entries.
    pub fn inner(self) -> Option<&'static Type> {
        match self {
            Self::Object(inner) => Some(inner),
            Self::List(item) => item.inner(),
            _ => None,
        }
    }
}
