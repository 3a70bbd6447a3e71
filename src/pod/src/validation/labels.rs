//! Qualified names, label values and port names as Kubernetes checks them.

use super::dns;

/// Longest name of a label, and longest value, in bytes.
const MAX: usize = 63;
const NAME_FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_FORM: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What keeps `value` from being a qualified name, `example.com/name` or `name`; empty when it is one
/// (`IsQualifiedName`).
pub fn qualified_name_errors(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match value.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                let of_prefix = dns::subdomain_errors(prefix);
                // Names that are no part of another are counted in characters, in Kubernetes' words.
                let of_prefix = of_prefix.iter().map(|error| error.replace("253 characters", "253 bytes"));
                errors.extend(of_prefix.map(|error| format!("prefix part {error}")));
            }
            name
        }
        _ => {
            let form = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {NAME_FORM} {form}")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX {
        errors.push(format!("name part must be no more than {MAX} bytes"));
    }
    if !has_name_form(name) {
        errors.push(format!("name part {NAME_FORM}"));
    }
    errors
}

/// What keeps `value` from being the value of a label; empty when it is one (`IsValidLabelValue`).
pub fn label_value_errors(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > MAX {
        errors.push(format!("must be no more than {MAX} bytes"));
    }
    if !value.is_empty() && !has_name_form(value) {
        errors.push(VALUE_FORM.to_owned());
    }
    errors
}

/// What keeps `value` from being the name of a port; empty when it is one (`IsValidPortName`).
pub fn port_name_errors(value: &str) -> Vec<&'static str> {
    let mut errors = Vec::new();
    if value.len() > 15 {
        errors.push("must be no more than 15 characters");
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if value.is_empty() || !value.bytes().all(allowed) {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)");
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens");
    }
    if value.starts_with('-') || value.ends_with('-') {
        errors.push("must not begin or end with a hyphen");
    }
    errors
}

fn has_name_form(value: &str) -> bool {
    let bytes = value.as_bytes();
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_names() {
        for good in ["a", "A_b.c-9", "example.com/MyName", &"a".repeat(63)] {
            assert!(qualified_name_errors(good).is_empty(), "{good}");
        }
        assert_eq!(qualified_name_errors("/a"), ["prefix part must be non-empty"]);
        assert!(qualified_name_errors("a b")[0].starts_with("name part must consist of alphanumeric"));
        assert!(qualified_name_errors("a/b/c")[0].starts_with("a valid label key must consist"));
        assert!(qualified_name_errors("A/b")[0].starts_with("prefix part a lowercase RFC 1123 subdomain"));
        let empty = qualified_name_errors("a/");
        assert_eq!((empty.len(), empty[0].as_str()), (2, "name part must be non-empty"));
        assert_eq!(qualified_name_errors(&"a".repeat(64)), ["name part must be no more than 63 bytes"]);
    }

    #[test]
    fn label_values() {
        for good in ["", "a", "A.b_c-9"] {
            assert!(label_value_errors(good).is_empty(), "{good}");
        }
        assert_eq!(label_value_errors("a b"), [VALUE_FORM]);
        assert_eq!(label_value_errors(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(label_value_errors("-a"), [VALUE_FORM]);
    }

    #[test]
    fn port_names() {
        for good in ["http", "a-1", "1-a"] {
            assert!(port_name_errors(good).is_empty(), "{good}");
        }
        for (bad, count) in
            [("", 2), ("HTTP", 2), ("80", 1), ("a--b", 1), ("-a", 1), ("a-", 1), ("abcdefghijklmnop", 1)]
        {
            assert_eq!(port_name_errors(bad).len(), count, "{bad}");
        }
    }
}
