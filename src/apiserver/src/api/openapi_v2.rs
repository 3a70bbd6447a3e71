//! OpenAPI 2 in protobuf (gnostic's `openapi.v2.Document`), by which kubectl before 1.27 checks fields, explains them, and
//! learns that a dry run is possible.

use crate::kind::{Kind, Source, Verb};
use crate::schema::{Field, Form, Merge, Type};

/// The media type, with a dot where `Accept` has an `@`: Go's parser of media types takes no other.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The same, as clients write it in `Accept`.
const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// Most parts of an `Accept` that are read.
const PARTS_MAX: usize = 64;

/// Whether `Accept` prefers this document to JSON; `None` if it accepts neither.
pub fn is_protobuf(accept: Option<&str>) -> Option<bool> {
    let accept = accept.map(str::trim).filter(|accept| !accept.is_empty()).unwrap_or("*/*");
    accept.split(',').take(PARTS_MAX).find_map(|part| {
        match part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Some(false),
            MEDIA_TYPE | ASKED => Some(true),
            _ => None,
        }
    })
}

/// The document of all kinds.
pub fn document(kinds: &[&'static Kind]) -> Vec<u8> {
    let (mut paths, mut definitions, mut defined) = (Message::default(), Message::default(), Vec::new());
    for kind in kinds.iter().filter(|kind| kind.source != Source::Nowhere) {
        define(kind.schema, Some(kind), &mut definitions, &mut defined);
        paths.message(2, named(&path(kind), &path_item(kind)));
    }
    let info = Message::default().text(1, "Kubernetes").text(2, "v1.36.0").done();
    let mut document = Message::default().text(1, "2.0").done();
    document.message(2, info).message(8, paths).message(9, definitions);
    document.0
}

/// An encoded message.
#[derive(Debug, Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    #[allow(clippy::cast_possible_truncation, reason = "it is what fits seven bits")]
    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            // The lowest seven bits.
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, field: usize, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, field: usize, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(&mut self, field: usize, message: Self) -> &mut Self {
        self.bytes(field, &message.0)
    }

    fn done(&mut self) -> Self {
        std::mem::take(self)
    }
}

/// `NamedSchema`, `NamedPathItem`.
fn named(name: &str, value: &Message) -> Message {
    Message::default().text(1, name).message(2, value.clone()).done()
}

/// A vendor extension: `NamedAny` with YAML in it.
fn extension(name: &str, yaml: &str) -> Message {
    named(name, Message::default().text(2, yaml))
}

fn gvk(kind: &Kind) -> String {
    format!("group: {:?}\nkind: {:?}\nversion: {:?}\n", kind.group, kind.name, kind.version)
}

fn path(kind: &Kind) -> String {
    let root = if kind.group.is_empty() { "/api/".to_owned() } else { format!("/apis/{}/", kind.group) };
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}{}{namespace}/{}/{{name}}", kind.version, kind.plural)
}

/// The operations on an object: kubectl looks for the parameters of PATCH.
fn path_item(kind: &Kind) -> Message {
    let own = extension("x-kubernetes-group-version-kind", &gvk(kind));
    let mut item = Message::default();
    if kind.verbs.contains(&Verb::Get) {
        item.message(2, Message::default().message(13, own.clone()).done());
    }
    if kind.verbs.contains(&Verb::Patch) {
        let mut patch = Message::default();
        for name in ["dryRun", "fieldManager", "fieldValidation"] {
            let query = Message::default().text(2, "query").text(4, name).text(6, "string").done();
            let other_than_body = Message::default().message(3, query).done();
            let parameter = Message::default().message(2, other_than_body).done();
            patch.message(8, Message::default().message(1, parameter).done());
        }
        item.message(8, patch.message(13, own).done());
    }
    item
}

/// Adds a structure and everything in it to the definitions.
fn define(
    schema: &'static Type,
    kind: Option<&Kind>,
    definitions: &mut Message,
    defined: &mut Vec<&'static str>,
) {
    if defined.contains(&schema.name) {
        return;
    }
    defined.push(schema.name);
    let (mut structure, mut properties) = (Message::default(), Message::default());
    structure.text(4, schema.description);
    for field in schema.all_fields() {
        properties.message(1, named(field.name, &property(field)));
        if field.is_required {
            structure.text(19, field.name);
        }
    }
    structure.message(22, object_type("object")).message(25, properties);
    if let Some(kind) = kind {
        let list = format!("- {}", gvk(kind).trim_end().replace('\n', "\n  "));
        structure.message(31, extension("x-kubernetes-group-version-kind", &list));
    }
    definitions.message(1, named(schema.name, &structure));
    for inner in schema.all_fields().filter_map(|field| field.form.inner()) {
        define(inner, None, definitions, defined);
    }
}

fn object_type(name: &str) -> Message {
    Message::default().text(1, name).done()
}

fn property(field: &Field) -> Message {
    let mut property = shape(field.form);
    property.text(4, field.description);
    if let Merge::Key(key) = field.merge {
        property.message(31, extension("x-kubernetes-patch-merge-key", key));
    }
    if field.merge != Merge::Replace {
        property.message(31, extension("x-kubernetes-patch-strategy", "merge"));
    }
    property
}

fn shape(form: Form) -> Message {
    let of_type = |name: &str| Message::default().message(22, object_type(name)).done();
    match form {
        Form::Text | Form::Quantity => of_type("string"),
        Form::Boolean => of_type("boolean"),
        Form::Int32 => of_type("integer").text(2, "int32").done(),
        Form::Int64 => of_type("integer").text(2, "int64").done(),
        Form::Time | Form::MicroTime => of_type("string").text(2, "date-time").done(),
        Form::IntOrString => of_type("string").text(2, "int-or-string").done(),
        Form::Any => of_type("object"),
        Form::Texts | Form::Quantities | Form::Blobs => {
            let value = Message::default().message(1, of_type("string")).done();
            of_type("object").message(21, value).done()
        }
        // Open objects get no description, or older kubectls refuse fields that the table lacks.
        Form::Object(inner) if inner.is_open => of_type("object"),
        Form::Object(inner) => Message::default().text(1, &format!("#/definitions/{}", inner.name)).done(),
        Form::List(item) => {
            let items = Message::default().message(1, shape(*item)).done();
            of_type("array").message(23, items).done()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn varint(bytes: &mut &[u8]) -> usize {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// The values of a message's field, all of which have a length.
    fn fields(mut bytes: &[u8], wanted: usize) -> Vec<&[u8]> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            assert_eq!(tag & 7, 2);
            let length = varint(&mut bytes);
            let (value, rest) = bytes.split_at(length);
            bytes = rest;
            if tag >> 3 == wanted {
                found.push(value);
            }
        }
        found
    }

    #[test]
    fn json_is_what_everybody_gets_who_does_not_ask_for_protobuf() {
        for (accept, expected) in [
            (None, Some(false)),
            (Some(""), Some(false)),
            (Some("*/*"), Some(false)),
            (Some("application/json"), Some(false)),
            (Some("text/html, application/json;q=0.9"), Some(false)),
            (Some(ASKED), Some(true)),
            (Some(MEDIA_TYPE), Some(true)),
            (
                Some("application/com.github.proto-openapi.spec.v2@v1.0+protobuf, application/json"),
                Some(true),
            ),
            (Some("text/html"), None),
        ] {
            assert_eq!(is_protobuf(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn kinds_are_described_once_and_can_be_patched() {
        let document = document(&kinds::every());
        assert_eq!(fields(&document, 1), [b"2.0"]);
        let paths = fields(fields(&document, 8)[0], 2);
        let service = b"/api/v1/namespaces/{namespace}/services/{name}";
        let path = paths.iter().find(|path| fields(path, 1)[0] == service).unwrap();
        let patch = fields(fields(path, 2)[0], 8)[0];
        let name = |parameter: &&[u8]| {
            let query = fields(fields(fields(parameter, 1)[0], 2)[0], 3)[0].to_vec();
            String::from_utf8(fields(&query, 4)[0].to_vec()).unwrap()
        };
        let names: Vec<String> = fields(patch, 8).iter().map(name).collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation"]);
        let definitions = fields(fields(&document, 9)[0], 1);
        let mut names: Vec<&[u8]> = definitions.iter().map(|definition| fields(definition, 1)[0]).collect();
        assert!(names.contains(&&b"io.k8s.api.core.v1.ServiceSpec"[..]));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
