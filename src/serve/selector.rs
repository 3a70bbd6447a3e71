//! Label and field selectors, as `k8s.io/apimachinery/pkg/labels` reads them.

use serde_json::Value;

use super::object::Object;
use super::resource::{ResourceInfo, View};
use super::status::ApiError;
use crate::validation::go_quote;
use crate::validation::labels::{label_value_errors, qualified_name_errors};

/// Which objects are meant; all, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

/// The fields that objects of every kind can be selected by.
const EVERYWHERE: [&str; 2] = ["metadata.name", "metadata.namespace"];

impl Selector {
    /// A selector out of the query parameters `labelSelector` and `fieldSelector`, which may be empty.
    ///
    /// # Errors
    /// `BadRequest` quoting what cannot be read.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, ApiError> {
        let unable = |what: &str, text: &str, why: &str| {
            ApiError::bad_request(format!("unable to parse requirement of {what} selector {text:?}: {why}"))
        };
        let parse = |text: &str| -> Result<Vec<Requirement>, String> {
            split(text).into_iter().map(requirement).collect()
        };
        let labels = parse(labels)
            .and_then(|parsed| parsed.iter().try_for_each(label_requirement).map(|()| parsed))
            .map_err(|why| unable("label", labels, &why))?;
        let parsed = parse(fields).map_err(|why| unable("field", fields, &why))?;
        if parsed.iter().any(|field| !is_equality(&field.operator)) {
            return Err(unable("field", fields, "expected =, == or !="));
        }
        Ok(Self { labels, fields: parsed })
    }

    /// Whether objects of this kind can be selected by these fields. One that is passed over would mean too many.
    ///
    /// # Errors
    /// `BadRequest` in upstream's words.
    pub fn check(&self, info: &ResourceInfo) -> Result<(), ApiError> {
        let keys = self.fields.iter().map(|field| field.key.as_str());
        let is_known = |key: &&str| EVERYWHERE.contains(key) || info.fields.contains(key);
        match keys.into_iter().find(|key| !is_known(key)) {
            None => Ok(()),
            Some(key) if info.fields.is_empty() => {
                let [name, namespace] = EVERYWHERE.map(go_quote);
                let key = go_quote(key);
                let why = format!("{key} is not a known field selector: only {name}, {namespace}");
                Err(ApiError::bad_request(why))
            }
            Some(key) => Err(ApiError::bad_request(format!("field label not supported: {key}"))),
        }
    }

    /// Has the fields of stored objects in the place of those of a view of them.
    pub fn renamed(mut self, view: View) -> Self {
        for requirement in &mut self.fields {
            let first = requirement.key.split('.').next().unwrap_or_default();
            let Some((here, there)) = view.fields.iter().find(|(here, _)| *here == first) else { continue };
            requirement.key = format!("{there}{}", &requirement.key[here.len()..]);
        }
        self
    }

    /// Whether every object is meant.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether this object is meant.
    pub fn matches(&self, object: &Object) -> bool {
        let label =
            |key: &str| object.labels().find(|(label, _)| *label == key).map(|(_, value)| value.to_owned());
        self.labels.iter().all(|requirement| requirement.holds(label(&requirement.key).as_deref()))
            && self.fields.iter().all(|requirement| requirement.holds(Some(&field(object, &requirement.key))))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let is_one = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match &self.operator {
            Operator::In(values) => is_one(values),
            Operator::NotIn(values) => !is_one(values),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater(than) => number(value).is_some_and(|number| number > *than),
            Operator::Less(than) => number(value).is_some_and(|number| number < *than),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

/// The field at a path such as `spec.parentRef.name`; what is missing is empty.
fn field(object: &Object, path: &str) -> String {
    let path = if path == "source" { "source.component" } else { path };
    let mut keys = path.split('.');
    let first = keys.next().and_then(|key| object.0.get(key)).unwrap_or(&Value::Null);
    match keys.fold(first, |value, key| &value[key]) {
        Value::String(text) => text.clone(),
        Value::Null if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What keeps a requirement from being one of labels: keys and values are as those of labels are.
fn label_requirement(requirement: &Requirement) -> Result<(), String> {
    if let Some(why) = qualified_name_errors(&requirement.key).first() {
        return Err(format!("key: Invalid value: {}: {why}", go_quote(&requirement.key)));
    }
    let (Operator::In(values) | Operator::NotIn(values)) = &requirement.operator else { return Ok(()) };
    for (index, value) in values.iter().enumerate() {
        if let Some(why) = label_value_errors(value).first() {
            let key = &requirement.key;
            return Err(format!("values[{index}][{key}]: Invalid value: {}: {why}", go_quote(value)));
        }
    }
    Ok(())
}

fn is_equality(operator: &Operator) -> bool {
    matches!(operator, Operator::In(values) | Operator::NotIn(values) if values.len() == 1)
}

/// The parts between commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let made = |key: &str, operator| {
        let key = key.trim();
        let is_key =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        if is_key {
            Ok(Requirement { key: key.to_owned(), operator })
        } else {
            Err(format!("invalid key {key:?}"))
        }
    };
    if let Some(key) = text.strip_prefix('!') {
        return made(key, Operator::Absent);
    }
    for (sign, is_in) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(sign) {
            if value.contains('=') {
                return Err(format!("found '=' in {value:?}, expected a value"));
            }
            let values = vec![value.trim().to_owned()];
            return made(key, if is_in { Operator::In(values) } else { Operator::NotIn(values) });
        }
    }
    for (sign, operator) in [('>', Operator::Greater as fn(i64) -> Operator), ('<', Operator::Less)] {
        if let Some((key, value)) = text.split_once(sign) {
            let number = value.trim().parse().map_err(|_| format!("found {value:?}, expected an integer"))?;
            return made(key, operator(number));
        }
    }
    let Some((key, rest)) = text.split_once(char::is_whitespace) else { return made(text, Operator::Exists) };
    let (word, list) =
        rest.trim().split_once('(').ok_or_else(|| format!("found {rest:?}, expected in or notin"))?;
    let list = list.strip_suffix(')').ok_or("a parenthesis is not closed")?;
    let values = list.split(',').map(|value| value.trim().to_owned()).collect();
    match word.trim() {
        "in" => made(key, Operator::In(values)),
        "notin" => made(key, Operator::NotIn(values)),
        other => Err(format!("found {other:?}, expected in or notin")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::serve::kinds::{service, service_cidr};

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

    #[test]
    fn fields_that_cannot_be_selected_by_are_refused() {
        let check = |fields: &str, info: &ResourceInfo| {
            Selector::parse("", fields).unwrap().check(info).map_err(|error| (error.code, error.message))
        };
        assert_eq!(
            check("metadata.name=a,metadata.namespace!=b,spec.type!=NodePort", &service::INFO),
            Ok(())
        );
        let refused = check("spec.typ!=LoadBalancer", &service::INFO);
        assert_eq!(refused, Err((400, "field label not supported: spec.typ".to_owned())));
        let refused = check("spec.cidrs=a", &service_cidr::INFO).unwrap_err().1;
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
