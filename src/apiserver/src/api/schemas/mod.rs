//! The tables of the kinds, by API group.

mod core;
mod discovery;
mod events;
mod meta;
mod networking;
mod nodes;
mod reviews;

pub use meta::{CONDITION, DELETE_OPTIONS, OBJECT_META};

use super::schema::Type;

/// The table of a kind.
pub fn of(group: &str, kind: &str) -> Option<&'static Type> {
    let kinds: &[&'static Type] = match group {
        "" => &[&core::SERVICE, &core::NAMESPACE, &core::EVENT, &nodes::NODE, &nodes::POD],
        "networking.k8s.io" => &[&networking::SERVICE_CIDR, &networking::IP_ADDRESS],
        "discovery.k8s.io" => &[&discovery::ENDPOINT_SLICE],
        "events.k8s.io" => &[&events::EVENT],
        "authorization.k8s.io" => {
            &[&reviews::SELF_SUBJECT_ACCESS_REVIEW, &reviews::SELF_SUBJECT_RULES_REVIEW]
        }
        "authentication.k8s.io" => &[&reviews::SELF_SUBJECT_REVIEW],
        _ => &[],
    };
    kinds.iter().copied().find(|found| found.go_name() == kind)
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Form, Merge, Type};
    use super::*;

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
