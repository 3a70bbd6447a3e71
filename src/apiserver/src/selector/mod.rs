//! Label and field selectors, as `k8s.io/apimachinery/pkg/labels` reads them.

mod labels;
mod requirement;

use serde_json::Value;

use self::requirement::{Operator, Requirement};
use super::kind::{Kind, View};
use super::object::Object;
use super::status::ApiError;
use pod::validation::go_quote;

/// Selects objects; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

/// The fields that objects of every kind can be selected by.
const EVERYWHERE: [&str; 2] = ["metadata.name", "metadata.namespace"];

impl Selector {
    /// Parses the query parameters `labelSelector` and `fieldSelector`, which may be empty.
    ///
    /// # Errors
    /// `BadRequest` that quotes the part that cannot be parsed.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, ApiError> {
        let labels = labels::parse(labels).map_err(ApiError::bad_request)?;
        let fields = field_requirements(fields).map_err(ApiError::bad_request)?;
        Ok(Self { labels, fields })
    }

    /// Checks that objects of this kind can be selected by these fields. Ignoring one would select too many.
    ///
    /// # Errors
    /// `BadRequest` in upstream's words.
    pub fn check(&self, kind: &Kind) -> Result<(), ApiError> {
        let keys = self.fields.iter().map(|field| field.key.as_str());
        // Kinds with a list of their own leave the namespace out if they are in none (`NodeStrategy` and others convert
        // field labels by `AddFieldLabelConversionFunc` in `pkg/apis/core/v1/conversion.go`).
        let everywhere =
            if kind.namespaced || kind.fields.is_empty() { &EVERYWHERE[..] } else { &EVERYWHERE[..1] };
        let is_known = |key: &&str| everywhere.contains(key) || kind.fields.contains(key);
        match keys.into_iter().find(|key| !is_known(key)) {
            None => Ok(()),
            Some(key) if kind.fields.is_empty() => {
                let [name, namespace] = EVERYWHERE.map(go_quote);
                let key = go_quote(key);
                let why = format!("{key} is not a known field selector: only {name}, {namespace}");
                Err(ApiError::bad_request(why))
            }
            Some(key) => Err(ApiError::bad_request(format!("field label not supported: {key}"))),
        }
    }

    /// Renames the fields of a view to those of the stored objects.
    pub fn renamed(mut self, view: View) -> Self {
        for requirement in &mut self.fields {
            let first = requirement.key.split('.').next().unwrap_or_default();
            let Some((here, there)) = view.fields.iter().find(|(here, _)| *here == first) else { continue };
            requirement.key = format!("{there}{}", &requirement.key[here.len()..]);
        }
        self
    }

    /// The name, if the selector requires one (`RequiresExactMatch`).
    pub fn name(&self) -> Option<&str> {
        let named = self.fields.iter().find(|field| field.key == EVERYWHERE[0])?;
        match &named.operator {
            Operator::In(names) => names.first().map(String::as_str),
            _ => None,
        }
    }

    /// Whether it selects every object.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether it selects this object.
    pub fn matches(&self, object: &Object) -> bool {
        let label =
            |key: &str| object.labels().find(|(label, _)| *label == key).map(|(_, value)| value.to_owned());
        self.labels.iter().all(|requirement| requirement.holds(label(&requirement.key).as_deref()))
            && self.fields.iter().all(|requirement| requirement.holds(Some(&field(object, &requirement.key))))
    }
}

/// The field at a path such as `spec.parentRef.name`; empty if it is missing.
fn field(object: &Object, path: &str) -> String {
    let path = match path {
        // The group `events.k8s.io` calls it otherwise (`ToSelectableFields` in `pkg/registry/core/event/strategy.go`).
        "source" if object.0.get("source").is_none_or(|source| is_empty(&source["component"])) => {
            "reportingComponent"
        }
        "source" => "source.component",
        // Clients from before v1 call it so (`pkg/apis/core/v1/conversion.go`).
        "spec.host" => "spec.nodeName",
        path => path,
    };
    let mut keys = path.split('.');
    let first = keys.next().and_then(|key| object.0.get(key)).unwrap_or(&Value::Null);
    match keys.fold(first, |value, key| &value[key]) {
        Value::String(text) => text.clone(),
        Value::Null if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        // Upstream takes `status.podIPs` for a field and gives it no value.
        Value::Null | Value::Array(_) => String::new(),
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str().is_none_or(str::is_empty)
}

/// Parses a field selector (`k8s.io/apimachinery/pkg/fields/selector.go`). Empty parts are ignored, unlike in label
/// selectors.
fn field_requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parts = unescaped_parts(text);
    // The first fault in this order is told.
    parts.sort_unstable();
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.map(|part| field_requirement(text, part)).collect()
}

/// The parts between unescaped commas.
fn unescaped_parts(text: &str) -> Vec<&str> {
    let mut is_escaped = false;
    let parts = text.split(|c: char| {
        let is_end = c == ',' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    parts.collect()
}

fn field_requirement(text: &str, part: &str) -> Result<Requirement, String> {
    let starts = part.char_indices().map(|(index, _)| part.split_at(index));
    let mut found = starts.filter_map(|(key, rest)| {
        let (sign, is_in) = [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))?;
        Some((key, is_in, &rest[sign.len()..]))
    });
    let unclear = || format!("invalid selector: '{text}'; can't understand '{part}'");
    let (key, is_in, value) = found.next().ok_or_else(unclear)?;
    let values = vec![unescaped(value)?];
    let operator = if is_in { Operator::In(values) } else { Operator::NotIn(values) };
    Ok(Requirement { key: key.to_owned(), operator })
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => {
                let code = u32::from(c);
                return Err(format!("invalid field selector: unescaped character in value: {code}"));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// Escapes a value for a field selector.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{service, service_cidr};

    #[test]
    fn which_objects_are_meant() {
        let object = Object::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "a/b": "", "size": "10"}},
            "spec": {"type": "ClusterIP", "parentRef": {"name": "x"}, "n": 3},
        }))
        .unwrap();
        for (labels, fields, expected) in [
            ("", "", true),
            ("app=web", "", true),
            ("app==web,a/b=", "", true),
            ("app!=web", "", false),
            ("none!=web", "", true),
            ("app", "metadata.name=web", true),
            ("!app", "", false),
            ("!none", "metadata.name!=web", false),
            ("app in (db, web)", "", true),
            ("app notin (db),app", "", true),
            ("none notin (db)", "", true),
            ("none in (db)", "", false),
            ("size>9", "", true),
            ("size > 10", "", false),
            ("size<11", "", true),
            ("app>1", "", false),
            ("none<1", "", false),
            ("", "metadata.namespace=default,spec.type=ClusterIP", true),
            ("", "spec.parentRef.name=x,spec.n=3", true),
            ("", "spec.none=", true),
        ] {
            assert_eq!(
                Selector::parse(labels, fields).unwrap().matches(&object),
                expected,
                "{labels} {fields}"
            );
        }
        assert!(Selector::parse("", "").unwrap().is_everything());
        for (labels, fields) in [
            ("a b", ""),
            ("=x", ""),
            ("a in (b", ""),
            ("a near (b)", ""),
            ("a\0=b", ""),
            ("a===", ""),
            ("a=b=c", ""),
            ("a=b c", ""),
            ("a in (b,c d)", ""),
            ("a/b/c", ""),
            ("a>b", ""),
            ("a>", ""),
            ("", "metadata.name>1"),
            ("", "metadata.name==="),
            ("", "metadata.name"),
        ] {
            assert_eq!(Selector::parse(labels, fields).unwrap_err().code, 400, "{labels} {fields}");
        }
    }

    /// `k8s.io/apimachinery/pkg/fields/selector.go`: values may be escaped, and parts may be empty.
    #[test]
    fn the_grammar_of_fields() {
        let object = |name: &str| Object::from_value(json!({"metadata": {"name": name}})).unwrap();
        for (name, value) in
            [("a,b", r"a\,b"), ("a=b", r"a\=b"), (r"a\b", r"a\\b"), (" a", " a"), ("a!", "a!")]
        {
            assert_eq!(escaped(name), value);
            let text = format!(",metadata.name={value},,metadata.name!=x,");
            let selector = Selector::parse("", &text).unwrap();
            assert!(selector.matches(&object(name)) && !selector.matches(&object("x")), "{text}");
        }
        let what = "invalid field selector:";
        for (text, expected) in [
            (
                "metadata.name",
                "invalid selector: 'metadata.name'; can't understand 'metadata.name'".to_owned(),
            ),
            ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'".to_owned()),
            ("x!a,b===c", format!("{what} unescaped character in value: 61")),
            ("x,!", "invalid selector: 'x,!'; can't understand '!'".to_owned()),
            ("a in (b)", "invalid selector: 'a in (b)'; can't understand 'a in (b)'".to_owned()),
            ("a=b=c", format!("{what} unescaped character in value: 61")),
            ("a===b", format!("{what} unescaped character in value: 61")),
            (r"a=\b", format!(r"{what} invalid escape sequence: \b")),
            ("a=b\\", format!("{what} invalid escape sequence: \\")),
        ] {
            let error = Selector::parse("", text).unwrap_err();
            assert_eq!((error.code, error.message), (400, expected), "{text}");
        }
    }

    #[test]
    fn fields_that_cannot_be_selected_by_are_refused() {
        let check = |fields: &str, kind: &Kind| {
            Selector::parse("", fields).unwrap().check(kind).map_err(|error| (error.code, error.message))
        };
        assert_eq!(
            check("metadata.name=a,metadata.namespace!=b,spec.type!=NodePort", &service::KIND),
            Ok(())
        );
        let refused = check("spec.typ!=LoadBalancer", &service::KIND);
        assert_eq!(refused, Err((400, "field label not supported: spec.typ".to_owned())));
        let refused = check("spec.cidrs=a", &service_cidr::KIND).unwrap_err().1;
        let only = "only \"metadata.name\", \"metadata.namespace\"";
        assert_eq!(refused, format!("\"spec.cidrs\" is not a known field selector: {only}"));
    }

    #[test]
    fn fields_with_a_value_that_is_not_there() {
        let object = Object::from_value(json!({"source": {"component": "kubelet"}})).unwrap();
        for (fields, expected) in
            [("spec.unschedulable=false", true), ("spec.hostNetwork!=false", false), ("source=kubelet", true)]
        {
            assert_eq!(Selector::parse("", fields).unwrap().matches(&object), expected, "{fields}");
        }
    }
}
