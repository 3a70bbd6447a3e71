//! The tables of the kinds, by API group.

use super::event::schema_v1;
use super::{endpoint_slice, event, ip_address, namespace, node, pod, review, service, service_cidr};
use crate::schema::Type;

/// The table of a kind.
pub fn of(group: &str, kind: &str) -> Option<&'static Type> {
    let kinds: &[&'static Type] = match group {
        "" => &[
            &service::schema::SERVICE,
            &namespace::schema::NAMESPACE,
            &event::schema::EVENT,
            &node::schema::NODE,
            &pod::schema::POD,
        ],
        "networking.k8s.io" => &[&service_cidr::schema::SERVICE_CIDR, &ip_address::schema::IP_ADDRESS],
        "discovery.k8s.io" => &[&endpoint_slice::schema::ENDPOINT_SLICE],
        "events.k8s.io" => &[&schema_v1::EVENT],
        "authorization.k8s.io" => {
            &[&review::schema::SELF_SUBJECT_ACCESS_REVIEW, &review::schema::SELF_SUBJECT_RULES_REVIEW]
        }
        "authentication.k8s.io" => &[&review::schema::SELF_SUBJECT_REVIEW],
        _ => &[],
    };
    kinds.iter().copied().find(|found| found.go_name() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::meta::DELETE_OPTIONS;
    use crate::schema::{Form, Merge, Type};

    fn check(schema: &Type) {
        for (index, field) in schema.fields.iter().enumerate() {
            let others = &schema.fields[..index];
            assert!(others.iter().all(|other| other.name != field.name), "{}.{}", schema.name, field.name);
            assert!(
                others.iter().all(|other| other.number != field.number),
                "{}.{}",
                schema.name,
                field.name
            );
            assert!(!field.description.is_empty(), "{}.{}", schema.name, field.name);
            if let Merge::Key(key, keys) = field.merge {
                let inner = field.form.inner().unwrap();
                assert!(matches!(field.form, Form::List(_)));
                assert!(keys.iter().chain([&key]).all(|key| inner.field(key).is_some()), "{}", field.name);
            }
            if let Some(inner) = field.form.inner() {
                check(inner);
            }
        }
    }

    #[test]
    fn tables_are_sound() {
        let kinds = [
            ("", "Service"),
            ("", "Namespace"),
            ("", "Event"),
            ("", "Node"),
            ("", "Pod"),
            ("networking.k8s.io", "ServiceCIDR"),
            ("networking.k8s.io", "IPAddress"),
            ("discovery.k8s.io", "EndpointSlice"),
            ("events.k8s.io", "Event"),
            ("authorization.k8s.io", "SelfSubjectAccessReview"),
            ("authorization.k8s.io", "SelfSubjectRulesReview"),
            ("authentication.k8s.io", "SelfSubjectReview"),
        ];
        for (group, kind) in kinds {
            check(of(group, kind).unwrap());
        }
        check(&DELETE_OPTIONS);
        assert!(of("apps", "Deployment").is_none());
    }
}
