//! The fields of a kind, in one table for all uses: which fields a body may have, their numbers in protobuf, which lists a
//! patch merges by a key, and the texts of `kubectl explain`.
//!
//! Names, numbers and keys are Kubernetes' own (`k8s.io/api/*/generated.proto`), the descriptions are not.

pub(crate) mod core;
pub mod meta;
pub(crate) mod published;
pub(crate) mod tidy;

/// A structure.
#[derive(Debug)]
pub struct Type {
    /// Its name in OpenAPI, the last part being that of the Go type: `io.k8s.api.core.v1.ServiceSpec`.
    pub name: &'static str,
    /// The text that `kubectl explain` shows.
    pub description: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Structures whose fields are its own in JSON. In protobuf they are messages of their own, under these numbers.
    pub inlined: &'static [(u32, &'static Type)],
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
    /// How a strategic merge patch treats a list. A key is one field of its entries.
    pub merge: Merge<&'static str>,
    /// How apply treats it.
    pub apply: Merge<&'static [&'static str]>,
    /// Whether it is required.
    pub is_required: bool,
    /// Whether Go writes it even if it is empty, though it is not required.
    pub is_written: bool,
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
    /// Bytes by name, which JSON has in base64.
    Blobs,
    /// A structure.
    Object(&'static Type),
    /// A list.
    List(&'static Form),
}

/// How two versions of a list are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge<Key> {
    /// The new one replaces the old.
    Replace,
    /// Their union.
    Set,
    /// Entries of the same key are merged.
    Key(Key),
}

impl Type {
    /// A structure.
    pub const fn new(name: &'static str, description: &'static str, fields: &'static [Field]) -> Self {
        Self { name, description, fields, inlined: &[], is_open: false }
    }

    /// A structure with more fields than the table has.
    pub const fn open(name: &'static str, description: &'static str, fields: &'static [Field]) -> Self {
        Self { name, description, fields, inlined: &[], is_open: true }
    }

    /// The name of the Go type: `ServiceSpec`.
    pub fn go_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// All fields that it has in JSON.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().chain(self.inlined.iter().flat_map(|(_, inner)| inner.fields))
    }

    /// A field by its name in JSON.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.all_fields().find(|field| field.name == name)
    }

    /// A field by its number in protobuf.
    pub fn numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Field {
    /// An optional field.
    pub const fn new(number: u32, name: &'static str, form: Form, description: &'static str) -> Self {
        let (merge, apply) = (Merge::Replace, Merge::Replace);
        let (is_required, is_written, is_pointer) = (false, false, false);
        Self { name, number, form, merge, apply, is_required, is_written, is_pointer, description }
    }

    /// Makes it required.
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Lets it be written even if it is empty.
    pub const fn written(mut self) -> Self {
        self.is_written = true;
        self
    }

    /// Makes it a pointer.
    pub const fn pointer(mut self) -> Self {
        self.is_pointer = true;
        self
    }

    /// Merges its entries: by the field `key` in strategic merge patches, by all of `apply_keys` in apply.
    pub const fn keyed(mut self, key: &'static str, apply_keys: &'static [&'static str]) -> Self {
        self.merge = Merge::Key(key);
        self.applied_by(apply_keys)
    }

    /// Merges it as a set.
    pub const fn set(self) -> Self {
        self.patch_set().apply_set()
    }

    /// Lets strategic merge patches merge its entries by the field `key`.
    pub const fn patched_by(mut self, [key]: &'static [&'static str; 1]) -> Self {
        self.merge = Merge::Key(*key);
        self
    }

    /// Lets strategic merge patches merge it as a set.
    pub const fn patch_set(mut self) -> Self {
        self.merge = Merge::Set;
        self
    }

    /// Lets apply merge its entries by the fields `keys`.
    pub const fn applied_by(mut self, keys: &'static [&'static str]) -> Self {
        self.apply = Merge::Key(keys);
        self
    }

    /// Lets apply merge it as a set.
    pub const fn apply_set(mut self) -> Self {
        self.apply = Merge::Set;
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
            Self::Blobs => "map[string][]uint8".to_owned(),
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
