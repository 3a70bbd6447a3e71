//! Media types of bodies and answers.

/// The form in which a client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Plain,
    /// A `Table`, in this version of `meta.k8s.io`.
    Table(&'static str),
    /// Only their metadata, in this version.
    Metadata(&'static str),
    /// Discovery of all kinds at once, in this version of `apidiscovery.k8s.io`.
    Discovery(&'static str),
}

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// The media type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
    /// `application/json-patch+json`.
    JsonPatch,
    /// `application/merge-patch+json`.
    MergePatch,
    /// `application/strategic-merge-patch+json`.
    StrategicPatch,
    /// `application/apply-patch+yaml`.
    Apply,
}

/// The media types of whole objects.
pub const OBJECTS: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// The media types of patches.
pub const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
/// Most parts of an `Accept` that are read.
const PARTS_MAX: usize = 64;

/// Reads `Content-Type`; without one, a body is JSON.
pub fn content(header: Option<&str>) -> Option<Content> {
    let kind = header.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    let known = [
        ("application/json", Content::Json),
        ("application/yaml", Content::Yaml),
        ("application/vnd.kubernetes.protobuf", Content::Protobuf),
        ("application/json-patch+json", Content::JsonPatch),
        ("application/merge-patch+json", Content::MergePatch),
        ("application/strategic-merge-patch+json", Content::StrategicPatch),
        ("application/apply-patch+yaml", Content::Apply),
    ];
    known.iter().find(|(name, _)| kind.eq_ignore_ascii_case(name)).map(|(_, content)| *content)
}

/// Reads `Accept`: the first form that `is_possible`; `None` if there is none.
pub fn accept(header: Option<&str>, is_possible: impl Fn(Form) -> bool) -> Option<(Form, Encoding)> {
    let header = header.unwrap_or_default().trim();
    if header.is_empty() {
        return Some((Form::Plain, Encoding::Json));
    }
    header.split(',').take(PARTS_MAX).filter_map(form).find(|(form, _)| is_possible(*form))
}

/// The form that one part of an `Accept` asks for.
fn form(part: &str) -> Option<(Form, Encoding)> {
    let mut parameters = part.split(';').map(str::trim);
    let kind = parameters.next().unwrap_or_default().to_ascii_lowercase();
    let encoding = match kind.as_str() {
        "application/json" | "application/*" | "*/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let (mut shape, mut group, mut version) = ("", "", "");
    for parameter in parameters {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("as", value) => shape = value,
            ("g", value) => group = value,
            ("v", value) => version = value,
            ("q", "0" | "0.0" | "0.00" | "0.000") => return None,
            // `stream=watch`, `charset`, `pretty`, `profile` do not change the answer.
            _ => {}
        }
    }
    let meta = match version {
        "v1" => Some("v1"),
        "v1beta1" => Some("v1beta1"),
        _ => None,
    };
    let form = match (shape, group) {
        ("", _) => Some(Form::Plain),
        ("Table", "meta.k8s.io") => meta.map(Form::Table),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") => meta.map(Form::Metadata),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io") => {
            ["v2", "v2beta1"].into_iter().find(|known| *known == version).map(Form::Discovery)
        }
        _ => None,
    };
    form.map(|form| (form, encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(form: Form) -> bool {
        !matches!(form, Form::Discovery(_))
    }

    #[test]
    fn the_first_form_that_can_be_had_is_taken() {
        let table = [
            (None, Some(Form::Plain)),
            (Some("*/*"), Some(Form::Plain)),
            (
                Some(
                    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                ),
                Some(Form::Table("v1")),
            ),
            (
                Some(
                    "application/json;as=Table;v=v2;g=meta.k8s.io, application/json;as=Table;v=v1beta1;g=meta.k8s.io",
                ),
                Some(Form::Table("v1beta1")),
            ),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Some(Form::Plain)),
            (
                Some("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
                Some(Form::Metadata("v1")),
            ),
            (
                Some("application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2,application/json"),
                Some(Form::Plain),
            ),
            (Some("application/vnd.kubernetes.protobuf"), None),
            (Some("application/json;q=0"), None),
            (Some("text/html"), None),
            (Some(";;;,,,=;"), None),
        ];
        for (header, expected) in table {
            let expected = expected.map(|form| (form, Encoding::Json));
            assert_eq!(accept(header, objects), expected, "{header:?}");
        }
        for (header, expected) in [
            ("application/yaml", (Form::Plain, Encoding::Yaml)),
            ("application/yaml, application/json", (Form::Plain, Encoding::Yaml)),
            ("application/json, application/yaml", (Form::Plain, Encoding::Json)),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", (Form::Table("v1"), Encoding::Yaml)),
        ] {
            assert_eq!(accept(Some(header), objects), Some(expected), "{header}");
        }
    }

    #[test]
    fn discovery_is_told_from_tables() {
        let header = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let found = accept(Some(header), |form| !matches!(form, Form::Table(_) | Form::Metadata(_)));
        assert_eq!(found, Some((Form::Discovery("v2"), Encoding::Json)));
    }

    #[test]
    fn bodies_are_told_apart() {
        assert_eq!(content(None), Some(Content::Json));
        assert_eq!(content(Some("Application/JSON; charset=utf-8")), Some(Content::Json));
        for kind in OBJECTS.iter().chain(PATCHES) {
            assert!(content(Some(kind)).is_some(), "{kind}");
        }
        for kind in
            ["", "text/plain", "application/cbor", "application/jsonx", "application/x-www-form-urlencoded"]
        {
            assert_eq!(content(Some(kind)), None, "{kind}");
        }
    }
}
