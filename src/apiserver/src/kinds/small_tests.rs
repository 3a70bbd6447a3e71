//! Namespaces, EndpointSlices and Events.

use serde_json::{Value, json};

use crate::kind::{Source, Verb};

use super::testing::{Cluster, EVENTS, IPS, NAMESPACES, SERVICES, SLICES};
use super::{node, pod};

fn cluster() -> Cluster {
    Cluster::new("10.96.0.0/28")
}

#[test]
fn the_usual_namespaces_are_there_and_some_stay() {
    let mut cluster = cluster();
    let names = ["default", "kube-node-lease", "kube-public", "kube-system"];
    assert_eq!(cluster.names(NAMESPACES), names);
    assert_eq!(cluster.cells(NAMESPACES, "default"), ["default", "Active", "0s"].map(Value::from));
    // A finalizer does not help.
    cluster.patch(NAMESPACES, "default", &json!({"metadata": {"finalizers": ["a/b"]}})).unwrap();
    let error = cluster.delete(NAMESPACES, "default").unwrap_err();
    assert_eq!(error.code, 403);
    assert_eq!(error.message, "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

#[test]
fn a_namespace_takes_along_what_is_in_it() {
    let mut cluster = cluster();
    cluster.create(NAMESPACES, "mine", json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    let own = cluster.get(NAMESPACES, "mine").unwrap();
    assert_eq!(own.metadata()["labels"], json!({"a": "b", "kubernetes.io/metadata.name": "mine"}));
    let rest = json!({"metadata": {"namespace": "mine"}, "spec": {"ports": [{"port": 80}]}});
    cluster.create(SERVICES, "s", rest).unwrap();
    let slice = json!({"metadata": {"namespace": "mine"}, "addressType": "IPv4", "endpoints": []});
    cluster.create(SLICES, "s", slice).unwrap();
    assert_eq!(cluster.names(IPS).len(), 2);
    cluster.patch(NAMESPACES, "mine", &json!({"metadata": {"labels": null}})).unwrap();
    cluster.delete(NAMESPACES, "mine").unwrap();
    let own = cluster.get(NAMESPACES, "mine").unwrap();
    assert_eq!(own.0["status"], json!({"phase": "Terminating"}));
    assert!(own.is_being_deleted() && own.metadata().get("deletionGracePeriodSeconds").is_none());
    // Its content stays for a while: clients may delete it, too.
    cluster.wait(4);
    assert_eq!(cluster.names(SERVICES).len(), 2);
    assert_eq!(cluster.wake, Some(cluster.store.now + 1));
    cluster.wait(1);
    assert!(cluster.get(NAMESPACES, "mine").is_none());
    assert_eq!(cluster.wake, None);
    assert_eq!(cluster.names(IPS), ["10.96.0.1"]);
    assert_eq!(cluster.names(SERVICES), ["kubernetes"]);
    assert!(cluster.names(SLICES).is_empty());
    assert!(
        cluster.create(NAMESPACES, "a.b", json!({})).unwrap_err().message.contains("must not contain dots")
    );
}

#[test]
fn a_namespace_that_is_about_to_go_takes_nothing_new() {
    let mut cluster = cluster();
    cluster.create(NAMESPACES, "mine", json!({"metadata": {"finalizers": ["a/b"]}})).unwrap();
    cluster.delete(NAMESPACES, "mine").unwrap();
    let service = json!({"metadata": {"namespace": "mine"}, "spec": {"ports": [{"port": 80}]}});
    let error = cluster.create(SERVICES, "s", service).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            403,
            "services \"s\" is forbidden: unable to create new content in namespace mine because it is being terminated"
        )
    );
    assert_eq!(error.details["causes"][0]["reason"], "NamespaceTerminating");
}

/// `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`: objects with finalizers keep their namespace,
/// and finalizers in its own metadata keep the namespace alone.
#[test]
fn what_has_finalizers_keeps_its_namespace() {
    let mut cluster = cluster();
    cluster.create(NAMESPACES, "mine", json!({"metadata": {"finalizers": ["a/b"]}})).unwrap();
    let held =
        json!({"metadata": {"namespace": "mine", "finalizers": ["c/d"]}, "spec": {"ports": [{"port": 80}]}});
    cluster.create(SERVICES, "held", held).unwrap();
    let slice = json!({"metadata": {"namespace": "mine"}, "addressType": "IPv4", "endpoints": []});
    cluster.create(SLICES, "s", slice).unwrap();
    cluster.delete(NAMESPACES, "mine").unwrap();
    cluster.wait(5);
    assert!(cluster.names(SLICES).is_empty());
    let service = cluster.store.object(SERVICES, "mine", "held").unwrap();
    assert!(service.is_being_deleted());
    let own = cluster.get(NAMESPACES, "mine").unwrap();
    let conditions = own.0["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions[0]["message"], "Some resources are remaining: services. has 1 resource instances");
    assert_eq!(
        conditions[1]["message"],
        "Some content in the namespace has finalizers remaining: c/d in 1 resource instances"
    );
    assert_eq!(cluster.wake, None);
    // The last Service goes.
    cluster.store.erase(SERVICES, &service);
    cluster.wait(1);
    let own = cluster.get(NAMESPACES, "mine").unwrap();
    assert_eq!(own.0["spec"], json!({}));
    cluster.patch(NAMESPACES, "mine", &json!({"metadata": {"finalizers": null}})).unwrap();
    assert!(cluster.get(NAMESPACES, "mine").is_none());
}

#[test]
fn endpoint_slices_are_kept_and_shown() {
    let mut cluster = cluster();
    let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    let slice = json!({
        "addressType": "IPv4", "ports": [{"port": 80}, {"name": "all"}],
        "endpoints": [{"addresses": addresses[..1]}, {"addresses": addresses[1..]}],
    });
    cluster.create(SLICES, "s", slice).unwrap();
    let shown = ["s", "IPv4", "80,all", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "0s"];
    assert_eq!(cluster.cells(SLICES, "s"), shown.map(Value::from));
    cluster.patch(SLICES, "s", &json!({"ports": null})).unwrap();
    assert_eq!(cluster.cells(SLICES, "s")[2], "<unset>");
    let refusal = cluster.create(SLICES, "t", json!({"addressType": "IPX"})).unwrap_err().message;
    assert!(refusal.ends_with(
        "addressType: Unsupported value: \"IPX\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""
    ));
    let refusal = cluster.create(SLICES, "t", json!({})).unwrap_err().message;
    assert!(refusal.ends_with("addressType: Required value"));
    cluster.delete(SLICES, "s").unwrap();
}

#[test]
fn events_are_kept_and_shown() {
    let mut cluster = cluster();
    let event = json!({
        "type": "Normal", "reason": "Made", "message": " it is made\n", "count": 2,
        "involvedObject": {"kind": "Service", "name": "s", "namespace": "default", "fieldPath": "spec"},
        "source": {"component": "podhosts", "host": "n1"},
        "firstTimestamp": "2027-01-15T07:58:00Z", "lastTimestamp": "2027-01-15T07:59:00Z",
    });
    cluster.create(EVENTS, "e", event).unwrap();
    let mut shown =
        ["60s", "Normal", "Made", "service/s", "spec", "podhosts, n1", "it is made", "2m", "", "e"]
            .map(Value::from);
    shown[8] = 2.into();
    assert_eq!(cluster.cells(EVENTS, "e"), shown);
    cluster.patch(EVENTS, "e", &json!({"lastTimestamp": null, "firstTimestamp": null})).unwrap();
    assert_eq!(cluster.cells(EVENTS, "e")[0], "<unknown>");
    let other = json!({"involvedObject": {"kind": "Service", "name": "s", "namespace": "other"}});
    let refusal = cluster.create(EVENTS, "f", other).unwrap_err().message;
    assert!(
        refusal
            .ends_with("involvedObject.namespace: Invalid value: \"other\": does not match event.namespace")
    );
    cluster.delete(EVENTS, "e").unwrap();
}

#[test]
fn what_is_found_on_the_machine_is_not_changed() {
    for kind in [&node::KIND, &pod::KIND] {
        assert_eq!(kind.source, Source::Machine, "{kind:?}");
        assert!(!kind.allows(None, Verb::Create), "{kind:?}");
    }
    assert_eq!(SERVICES.source, Source::Stored);
}

#[test]
fn names_are_used_once() {
    let kinds = super::every();
    // A view has the names of the kind that stores its objects.
    for (view, kind) in kinds.iter().filter_map(|kind| Some((kind.view()?, *kind))) {
        assert_eq!((view.kind.plural, view.kind.source), (kind.plural, Source::Stored));
    }
    let names = kinds.iter().filter(|kind| kind.view().is_none()).flat_map(|kind| {
        // `endpoints` is its own singular.
        let singular = Some(kind.singular).filter(|singular| *singular != kind.plural);
        [kind.plural].into_iter().chain(singular).chain(kind.short_names.iter().copied())
    });
    let mut names: Vec<&str> = names.collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
