//! The slices of pods (`k8s.io/endpointslice/reconciler_test.go` has the same cases).

use serde_json::{Value, json};

use super::super::changes::Changes;
use super::super::pod::Pod;
use super::super::service::Service;
use super::super::slice::Slice;
use super::super::slices::{Node, SLICE_MAX, plan};
use super::super::trigger::Times;
use super::{addresses, counts, pod, pods, service, stored};

fn node() -> Node {
    Node { name: "node1".to_owned(), zone: None }
}

fn planned(service: &Service, pods: &[Pod], existing: &[Slice]) -> Changes {
    plan(service, &pods.iter().collect::<Vec<_>>(), existing.to_vec(), &node())
}

/// The changes, made: the slices that are there afterwards, with names of their own.
fn made(existing: &[Slice], changes: &Changes) -> Vec<Slice> {
    let is_kept = |slice: &&Slice| {
        let mut others = changes.replace.iter().chain(&changes.delete);
        !others.any(|other| other.name() == slice.name())
    };
    let kept: Vec<Slice> = existing.iter().filter(is_kept).cloned().collect();
    let count = existing.len();
    let new = changes.create.iter().enumerate();
    let new = new.map(|(index, slice)| stored(slice.clone(), &format!("web-{:05}", count + index)));
    kept.into_iter().chain(changes.replace.iter().cloned()).chain(new).collect()
}

/// The slices of a Service with these pods.
fn slices_of(service: &Service, pods: &[Pod]) -> Vec<Slice> {
    made(&[], &planned(service, pods, &[]))
}

#[test]
fn a_slice_has_what_kubernetes_puts_there() {
    let service =
        service(json!({"metadata": {"labels": {"team": "a", "kubernetes.io/service-name": "not"}}}));
    let changes = planned(&service, &pods([3]), &[]);
    assert_eq!(counts(&changes), (1, 0, 0));
    let mut slice = changes.create[0].clone();
    slice.set_trigger(Some("2026-01-01T00:00:00Z"));
    let expected = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": "web-", "namespace": "default",
            "labels": {
                "team": "a", "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": "web", "uid": "s", "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.244.0.4"],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-0003", "uid": "p3"},
            "nodeName": "node1",
        }],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    assert_eq!(slice.into_object().into_value(), expected);
}

#[test]
fn conditions_follow_the_pod_and_the_service() {
    let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let ending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let ending_unready = json!({"metadata": ending["metadata"], "status": not_ready["status"]});
    let no_ready =
        json!({"status": {"conditions": [{"type": "PodReadyToStartContainers", "status": "True"}]}});
    let all = json!({"spec": {"publishNotReadyAddresses": true}});
    for (of_service, of_pod, expected) in [
        (json!({}), json!({}), Some((true, true, false))),
        (json!({}), not_ready.clone(), Some((false, false, false))),
        (json!({}), ending.clone(), Some((false, true, true))),
        (json!({}), ending_unready.clone(), Some((false, false, true))),
        (json!({}), no_ready, Some((false, false, false))),
        (all.clone(), not_ready, Some((true, false, false))),
        (all.clone(), ending, Some((true, true, true))),
        (all.clone(), ending_unready, Some((true, false, true))),
        (all.clone(), json!({"status": {"phase": "Succeeded"}}), None),
        (all.clone(), json!({"status": {"phase": "Failed"}}), None),
        (all, json!({"status": {"podIPs": []}}), None),
        (json!({}), json!({"status": {"phase": "Pending"}}), Some((true, true, false))),
    ] {
        let slices = slices_of(&service(of_service.clone()), &[pod(1, of_pod.clone())]);
        let found = slices[0].endpoints.first().map(|endpoint| {
            let conditions = &endpoint.conditions;
            (conditions.ready.unwrap(), conditions.serving.unwrap(), conditions.terminating.unwrap())
        });
        assert_eq!(found, expected, "{of_service} {of_pod}");
    }
}

/// By family and by the numbers that a port's name has in the pods.
#[test]
fn ports_and_families_have_slices_of_their_own() {
    let named = json!({"spec": {"ipFamilies": ["IPv6", "IPv4"], "ports": [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "appProtocol": "kubernetes.io/h2c"},
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
    ]}});
    let with = |number: usize, port: Value| {
        let ports = json!([{"name": "web", "protocol": "UDP", "containerPort": 1}, port]);
        pod(number, json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "ports": ports}]}}))
    };
    let sidecar = json!({"spec": {"initContainers": [
        {"name": "i", "ports": [{"name": "web", "containerPort": 1}]},
        {"name": "s", "restartPolicy": "Always", "ports": [{"name": "web", "containerPort": 8080}]},
    ]}});
    let pods = [
        with(1, json!({"name": "web", "containerPort": 8080})),
        with(2, json!({"name": "web", "protocol": "TCP", "containerPort": 9090})),
        with(3, json!({"name": "other", "containerPort": 7070})),
        pod(4, sidecar),
        pod(5, json!({"status": {"podIPs": [{"ip": "010.244.0.06"}]}})),
    ];
    let shown = |slice: &Slice| {
        let ports = slice.ports.iter();
        let ports: Vec<String> = ports
            .map(|port| {
                format!(
                    "{}:{}/{}",
                    port.name.as_ref().unwrap(),
                    port.port.unwrap(),
                    port.protocol.as_ref().unwrap()
                )
            })
            .collect();
        format!("{} {}", ports.join(","), addresses(slice).join(","))
    };
    let mut found: Vec<String> = slices_of(&service(named), &pods).iter().map(shown).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "dns:5353/UDP 10.244.0.4,10.244.0.6",
            "dns:5353/UDP fd00::4",
            "http:8080/TCP,dns:5353/UDP 10.244.0.2,10.244.0.5",
            "http:8080/TCP,dns:5353/UDP fd00::2,fd00::5",
            "http:9090/TCP,dns:5353/UDP 10.244.0.3",
            "http:9090/TCP,dns:5353/UDP fd00::3",
        ]
    );
}

#[test]
fn headless_services_have_a_label_names_and_no_ports() {
    let headless = service(json!({"spec": {"clusterIP": "None", "ports": null}}));
    let named = |subdomain: &str| json!({"spec": {"hostname": "one", "subdomain": subdomain}});
    let all = [pod(1, named("web")), pod(2, named("other"))];
    let slices = slices_of(&headless, &all);
    let hosts: Vec<Option<&str>> = slices[0].endpoints.iter().map(|one| one.hostname.as_deref()).collect();
    assert_eq!(hosts, [Some("one"), None]);
    let label = ("service.kubernetes.io/headless".to_owned(), String::new());
    assert!(slices[0].labels().contains(&label) && slices[0].ports.is_empty());
    // The slice without endpoints has the same ports: none.
    let before = slices_of(&headless, &[]);
    let changes = planned(&headless, &all, &before);
    assert_eq!(counts(&changes), (0, 1, 0));
}

#[test]
fn a_service_without_pods_has_an_empty_slice_of_each_family() {
    let dual = service(json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}}));
    let before = slices_of(&dual, &[]);
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|slice| slice.endpoints.is_empty() && slice.ports.is_empty()));
    assert_eq!(planned(&dual, &[], &before), Changes::default());
    // The pod takes the place of the empty one, and the reverse.
    let changes = planned(&dual, &pods([1]), &before);
    assert_eq!(counts(&changes), (0, 2, 0));
    let with_pod = made(&before, &changes);
    let changes = planned(&dual, &[], &with_pod);
    assert_eq!(counts(&changes), (0, 2, 0));
    assert!(changes.replace.iter().all(|slice| slice.endpoints.is_empty()));
    // One family less.
    let changes = planned(&service(json!({})), &pods([1]), &with_pod);
    assert_eq!((counts(&changes), changes.delete[0].family()), ((0, 0, 1), with_pod[1].family()));
}

#[test]
fn what_is_right_is_not_written() {
    let (service, all) = (service(json!({"metadata": {"labels": {"a": "b"}}})), pods(0..250));
    let slices = slices_of(&service, &all);
    let sizes: Vec<usize> = slices.iter().map(|slice| slice.endpoints.len()).collect();
    assert_eq!(sizes, [SLICE_MAX, SLICE_MAX, 50]);
    assert_eq!(planned(&service, &all, &slices), Changes::default());
    let mut reversed = slices.clone();
    reversed.reverse();
    assert_eq!(planned(&service, &all, &reversed), Changes::default());
}

/// As few slices as can be are written.
#[test]
fn pods_come_and_go_with_few_changes() {
    let plain = service(json!({}));
    let before = slices_of(&plain, &pods(0..250));
    for (what, now, expected, sizes) in [
        ("one comes", pods(0..251), (0, 1, 0), vec![100, 100, 51]),
        ("fifty come", pods(0..300), (0, 1, 0), vec![100, 100, 100]),
        ("51 come: none has room for all of them", pods(0..301), (1, 0, 0), vec![100, 100, 50, 51]),
        ("one of the first goes", pods((0..250).filter(|n| *n != 7)), (0, 1, 0), vec![99, 100, 50]),
        ("one goes, one comes", pods((0..251).filter(|n| *n != 7)), (0, 1, 0), vec![100, 100, 50]),
        ("the last slice is empty", pods(0..200), (0, 0, 1), vec![100, 100]),
        ("all go", pods([]), (0, 1, 2), vec![0]),
        ("all are others", pods(300..550), (0, 3, 0), vec![100, 100, 50]),
    ] {
        let changes = planned(&plain, &now, &before);
        assert_eq!(counts(&changes), expected, "{what}");
        let after = made(&before, &changes);
        let mut found: Vec<usize> = after.iter().map(|slice| slice.endpoints.len()).collect();
        found.sort_unstable();
        let mut sizes = sizes;
        sizes.sort_unstable();
        assert_eq!(found, sizes, "{what}");
        // Every pod once.
        let mut all: Vec<&str> = after.iter().flat_map(addresses).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), now.len(), "{what}");
        assert_eq!(planned(&plain, &now, &after), Changes::default(), "{what}");
    }
}

#[test]
fn an_endpoint_changes_in_its_place() {
    let plain = service(json!({}));
    let before = slices_of(&plain, &pods(0..120));
    let mut now = pods(0..120);
    now[5] = pod(5, json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}));
    let changes = planned(&plain, &now, &before);
    assert_eq!(counts(&changes), (0, 1, 0));
    assert_eq!(addresses(&changes.replace[0]), addresses(&before[0]));
    let unready = changes.replace[0].endpoints.iter().filter(|one| one.conditions.ready == Some(false));
    assert_eq!(unready.map(|one| one.addresses[0].as_str()).collect::<Vec<_>>(), ["10.244.0.6"]);
    // A new pod of the same name and address, as a StatefulSet makes it.
    now[5] = pod(5, json!({"metadata": {"uid": "another"}}));
    assert_eq!(counts(&planned(&plain, &now, &before)), (0, 1, 0));
    // Another port: all slices are others, under the names of the old ones.
    let moved = service(
        json!({"spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 81}]}}),
    );
    let changes = planned(&moved, &pods(0..120), &before);
    assert_eq!(counts(&changes), (0, 2, 0));
    assert!(changes.replace.iter().all(|slice| slice.ports[0].port == Some(81)));
}

#[test]
fn labels_follow_the_service() {
    let before = slices_of(&service(json!({"metadata": {"labels": {"a": "1"}}})), &pods(0..2));
    let changes = planned(&service(json!({"metadata": {"labels": {"b": "2"}}})), &pods(0..2), &before);
    assert_eq!(counts(&changes), (0, 1, 0));
    let labels: Vec<String> = changes.replace[0].labels().into_iter().map(|(key, _)| key).collect();
    assert_eq!(labels, ["b", "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"]);
}

#[test]
fn slices_of_an_earlier_service_are_not_taken_over() {
    let before = slices_of(&service(json!({"metadata": {"uid": "old"}})), &pods(0..2));
    let changes = planned(&service(json!({})), &pods(0..2), &before);
    assert_eq!(counts(&changes), (1, 0, 1));
    // A Service that is going gets no new ones.
    let going = service(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    assert_eq!(counts(&planned(&going, &pods(0..2), &before)), (0, 0, 1));
    assert_eq!(counts(&planned(&going, &pods(0..2), &[])), (0, 0, 0));
}

#[test]
fn hints_are_those_of_the_traffic_distribution() {
    let zoned = Node { name: "node1".to_owned(), zone: Some("z".to_owned()) };
    let unready = pod(2, json!({"status": {"conditions": []}}));
    let all = [pod(1, json!({})), unready, pod(3, json!({"spec": {"nodeName": "other"}}))];
    let all: Vec<&Pod> = all.iter().collect();
    let (zone, node) = (json!([{"name": "z"}]), json!([{"name": "node1"}]));
    let auto = json!({"service.kubernetes.io/topology-mode": "Auto"});
    let with = |distribution: Value| json!({"spec": {"trafficDistribution": distribution}});
    for (of_service, expected) in [
        (json!({}), [Value::Null, Value::Null]),
        (with(json!("PreferClose")), [json!({"forZones": zone}), Value::Null]),
        (with(json!("PreferSameZone")), [json!({"forZones": zone}), Value::Null]),
        (
            with(json!("PreferSameNode")),
            [json!({"forZones": zone, "forNodes": node}), json!({"forNodes": [{"name": "other"}]})],
        ),
        (
            json!({"metadata": {"annotations": auto}, "spec": {"trafficDistribution": "PreferClose"}}),
            [Value::Null, Value::Null],
        ),
    ] {
        let asked = service(of_service.clone());
        // From no hints, and from all of them.
        for before in [json!({}), with(json!("PreferSameNode"))] {
            let first = made(&[], &plan(&service(before), &all, Vec::new(), &zoned));
            let changes = plan(&asked, &all, first.clone(), &zoned);
            let slices = made(&first, &changes);
            let hints = |index: usize| slices[0].endpoints[index].hints.clone().unwrap_or_default();
            assert_eq!([hints(0), hints(2)], expected, "{of_service}");
            assert_eq!(hints(1), Value::Null);
            assert_eq!(plan(&asked, &all, slices, &zoned), Changes::default());
        }
    }
}

#[test]
fn the_time_of_a_change_is_the_earliest_news() {
    let at = |number: usize, since: &str| {
        let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": since}]);
        pod(number, json!({"status": {"conditions": ready}}))
    };
    let service = service(json!({}));
    let times =
        |pods: &[Pod], before: Option<&Times>| Times::of(&service, &pods.iter().collect::<Vec<_>>(), before);
    let (first, trigger) = times(&[], None);
    assert_eq!(trigger.as_deref(), Some("2026-01-01T00:00:00Z"));
    let two = [at(1, "2026-01-03T00:00:00Z"), at(2, "2026-01-02T00:00:00Z")];
    let (second, trigger) = times(&two, Some(&first));
    assert_eq!(trigger.as_deref(), Some("2026-01-02T00:00:00Z"));
    assert_eq!(times(&two, Some(&second)), (second.clone(), None));
    let later = [at(1, "2026-01-04T00:00:00Z"), at(2, "2026-01-02T00:00:00Z")];
    assert_eq!(times(&later, Some(&second)).1.as_deref(), Some("2026-01-04T00:00:00Z"));
    // A pod that goes leaves no time.
    assert_eq!(times(&two[..1], Some(&second)).1, None);
}
