//! RFC 1123 names as Kubernetes checks them.

/// Longest DNS label, in bytes.
pub(crate) const LABEL_MAX: usize = 63;
/// Longest DNS subdomain, in bytes.
pub(crate) const SUBDOMAIN_MAX: usize = 253;

const LABEL_TOO_LONG: &str = "must be no more than 63 characters";
const LABEL_FORM: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_DOTS: &str = "must not contain dots";
const SUBDOMAIN_TOO_LONG: &str = "must be no more than 253 characters";
const SUBDOMAIN_FORM: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Why `value` is no RFC 1123 label; empty when it is one (`IsDNS1123Label`).
pub fn label_errors(value: &str) -> Vec<&'static str> {
    let mut errors = Vec::new();
    if value.len() > LABEL_MAX {
        errors.push(LABEL_TOO_LONG);
    }
    if !has_label_form(value) {
        // Kubernetes says "dots" only where the dots are all that is wrong.
        errors.push(if has_subdomain_form(value) { LABEL_DOTS } else { LABEL_FORM });
    }
    errors
}

/// Why `value` is no RFC 1123 subdomain; empty when it is one (`IsDNS1123Subdomain`).
pub fn subdomain_errors(value: &str) -> Vec<&'static str> {
    let mut errors = Vec::new();
    if value.len() > SUBDOMAIN_MAX {
        errors.push(SUBDOMAIN_TOO_LONG);
    }
    if !has_subdomain_form(value) {
        errors.push(SUBDOMAIN_FORM);
    }
    errors
}

/// Whether `value` is a valid RFC 1123 label.
pub fn is_label(value: &str) -> bool {
    value.len() <= LABEL_MAX && has_label_form(value)
}

/// Whether `value` is a valid RFC 1123 subdomain.
pub fn is_subdomain(value: &str) -> bool {
    subdomain_errors(value).is_empty()
}

fn has_subdomain_form(value: &str) -> bool {
    value.split('.').all(has_label_form)
}

fn has_label_form(value: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = value.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "0", "a-b", "xn--abc", &"a".repeat(63)] {
            assert!(label_errors(good).is_empty(), "{good}");
        }
        assert_eq!(label_errors("a.b"), [LABEL_DOTS]);
        assert_eq!(label_errors(&"a".repeat(64)), [LABEL_TOO_LONG]);
        assert_eq!(label_errors(&"a.".repeat(32)), [LABEL_TOO_LONG, LABEL_FORM]);
        for bad in ["", "-a", "a-", "A", "a_b", "a\n", "a\0b", "日本", " a", "*"] {
            assert_eq!(label_errors(bad), [LABEL_FORM], "{bad:?}");
        }
    }

    #[test]
    fn subdomains() {
        for good in ["a", "a.b", "1.2.3", "a-b.c"] {
            assert!(is_subdomain(good), "{good}");
        }
        assert_eq!(subdomain_errors(&format!("{}a", "a.".repeat(126))), Vec::<&str>::new());
        assert_eq!(subdomain_errors(&format!("{}aa", "a.".repeat(126))), [SUBDOMAIN_TOO_LONG]);
        for bad in ["", ".", "a.", ".a", "a..b", "a.-b", "A.b", "a\u{2028}b"] {
            assert_eq!(subdomain_errors(bad), [SUBDOMAIN_FORM], "{bad:?}");
        }
    }
}
