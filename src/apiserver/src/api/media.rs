//! Media types of bodies and answers.

/// The form in which a client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Plain,
    /// A `Table`, in this version of `meta.k8s.io`.
    Table(&'static str),
    /// Only their metadata, in this version; as a list of it if the flag is set.
    Metadata(&'static str, bool),
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

/// Reads `Accept`: the first form that `is_possible`, of those with the highest quality; `None` if there is none.
pub fn accept(header: Option<&str>, is_possible: impl Fn(Form) -> bool) -> Option<(Form, Encoding)> {
    let header = header.unwrap_or_default().trim();
    if header.is_empty() {
        return Some((Form::Plain, Encoding::Json));
    }
    clauses(header).into_iter().filter_map(form).find(|(form, _)| is_possible(*form))
}

/// The parts of an `Accept`, the preferred ones first: those with a higher quality, and those without `*`
/// (`ParseAccept` in `github.com/munnerz/goautoneg/autoneg.go`). Upstream's order is no strict one, so this has to be its
/// insertion sort.
pub fn clauses(header: &str) -> Vec<&str> {
    let mut clauses: Vec<(&str, f64)> =
        header.split(',').take(PARTS_MAX).map(|part| (part, quality(part))).collect();
    for last in 1..clauses.len() {
        let mut place = last;
        while place > 0 && is_before(clauses[place], clauses[place - 1]) {
            clauses.swap(place, place - 1);
            place -= 1;
        }
    }
    clauses.into_iter().map(|(part, _)| part).collect()
}

/// The parameter `q`; one that is no number is 0.
fn quality(part: &str) -> f64 {
    let given = part.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let last = given.filter(|(name, _)| name.trim() == "q").last();
    last.map_or(1.0, |(_, value)| value.parse().unwrap_or_default())
}

fn is_before((part, quality): (&str, f64), (other, its_quality): (&str, f64)) -> bool {
    let names = |part: &str| {
        let name = part.split(';').next().unwrap_or_default();
        let (kind, subtype) = name.split_once('/').unwrap_or((name, "*"));
        (kind.trim() == "*", subtype.trim() == "*")
    };
    let ((any, any_sub), (its_any, its_any_sub)) = (names(part), names(other));
    quality > its_quality || !any && its_any || !any_sub && its_any_sub
}

/// The form that one part of an `Accept` asks for (`acceptMediaTypeOptions` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`).
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
            (_, "") => {}
            ("as", value) => shape = value,
            ("g", value) => group = value,
            ("v", value) => version = value,
            ("stream", value) if value != "watch" => return None,
            // `charset`, `pretty`, `profile` do not change the answer.
            _ => {}
        }
    }
    let meta = match version {
        "v1" => Some("v1"),
        "v1beta1" => Some("v1beta1"),
        _ => None,
    };
    let form = match (shape, group) {
        ("", "") if version.is_empty() => Some(Form::Plain),
        ("Table", "meta.k8s.io") => meta.map(Form::Table),
        ("PartialObjectMetadata", "meta.k8s.io") => meta.map(|version| Form::Metadata(version, false)),
        ("PartialObjectMetadataList", "meta.k8s.io") => meta.map(|version| Form::Metadata(version, true)),
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
                Some(Form::Metadata("v1", true)),
            ),
            (
                Some("application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2,application/json"),
                Some(Form::Plain),
            ),
            (Some("application/vnd.kubernetes.protobuf"), None),
            // As upstream, though RFC 9110 calls it not acceptable.
            (Some("application/json;q=0"), Some(Form::Plain)),
            (Some("application/json;v=v1;g=apps"), None),
            (Some("application/json;stream=watch"), Some(Form::Plain)),
            (Some("application/json;stream=other"), None),
            (
                Some("application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5,application/json;q=0.9"),
                Some(Form::Plain),
            ),
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
            ("application/yaml;q=0.1, application/json", (Form::Plain, Encoding::Json)),
            ("application/json;q=0.1,application/yaml;q=0.9", (Form::Plain, Encoding::Yaml)),
            ("application/yaml;q=x, application/json;q=0.1", (Form::Plain, Encoding::Json)),
            ("*/*, application/yaml", (Form::Plain, Encoding::Yaml)),
            ("*/*;q=0.9,application/yaml;q=0.1", (Form::Plain, Encoding::Yaml)),
            ("application/yaml;q=0.1,*/*;q=0.9", (Form::Plain, Encoding::Json)),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", (Form::Table("v1"), Encoding::Yaml)),
        ] {
            assert_eq!(accept(Some(header), objects), Some(expected), "{header}");
        }
    }

    #[test]
    fn discovery_is_told_from_tables() {
        let header = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let found = accept(Some(header), |form| !matches!(form, Form::Table(_) | Form::Metadata(..)));
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
