use super::*;
use crate::change::Change;

fn lines<'a>(elements: impl Iterator<Item = &'a Element>) -> Vec<String> {
    elements.map(line).collect()
}

fn web() -> Proxy {
    let mut proxy = Proxy::new(node());
    proxy.set_service(name("web"), Some(service(&["10.96.0.1"])));
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1", "10.0.0.2 local"])));
    proxy
}

#[test]
fn what_is_as_before_changes_nothing() {
    let mut proxy = web();
    assert_eq!(proxy.take_change().added().count(), proxy.wanted().len());
    assert_eq!(proxy.take_change(), Change::default());
    proxy.set_service(name("web"), Some(service(&["10.96.0.1"])));
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1", "10.0.0.2 local"])));
    proxy.set_service(name("absent"), None);
    proxy.set_slice(name("absent"), None);
    proxy.set_node(node());
    assert!(proxy.before.is_empty());
    // There and back again is no change either.
    proxy.set_service(name("web"), None);
    proxy.set_slice(name("web-1"), None);
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1", "10.0.0.2 local"])));
    proxy.set_service(name("web"), Some(service(&["10.96.0.1"])));
    assert_eq!(proxy.take_change(), Change::default());
}

#[test]
fn an_endpoint_more_changes_its_slot_and_the_number_of_slots() {
    let mut proxy = web();
    proxy.take_change();
    proxy.set_slice(name("web-2"), Some(slice(&["10.0.0.3"])));
    let change = proxy.take_change();
    let counts = ["10.96.0.1:80/tcp inside -> cluster", "10.96.0.1:80/tcp outside -> cluster"];
    let removed = [format!("{} 2", counts[0]), format!("{} 2 masquerade", counts[1])];
    assert_eq!(lines(change.removed()), removed);
    let added = [format!("{} 3", counts[0]), format!("{} 3 masquerade", counts[1])];
    assert_eq!(
        lines(change.added()),
        [added.as_slice(), &["slot cluster 2: 10.0.0.3:8080".to_owned()]].concat()
    );
    proxy.set_slice(name("web-2"), None);
    let back = proxy.take_change();
    assert_eq!(
        (lines(back.added()), lines(back.removed())),
        (lines(change.removed()), lines(change.added()))
    );
}

#[test]
fn slices_may_come_before_their_service_and_pass_to_another_one() {
    let mut proxy = Proxy::new(node());
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1"])));
    assert_eq!(proxy.take_change(), Change::default());
    proxy.set_service(name("web"), Some(service(&["10.96.0.1"])));
    proxy.set_service(name("other"), Some(service(&["10.96.0.2"])));
    assert_eq!(proxy.take_change().added().filter(|it| line(it).starts_with("slot")).count(), 1);
    proxy.set_slice(name("web-1"), Some(Slice { service: "other".to_owned(), ..slice(&["10.0.0.1"]) }));
    let lines: Vec<_> = proxy.wanted().iter().map(line).filter(|line| line.contains("inside")).collect();
    assert_eq!(lines, ["10.96.0.1:80/tcp inside -> reject", "10.96.0.2:80/tcp inside -> cluster 1"]);
    for service in ["web", "other"] {
        proxy.set_service(name(service), None);
    }
    proxy.set_slice(name("web-1"), None);
    assert!(proxy.services.is_empty() && proxy.slices.is_empty() && proxy.owners.places().next().is_none());
    let change = proxy.take_change();
    assert_eq!(change.added().count(), 0);
    assert_eq!(proxy.take_change(), Change::default());
}

#[test]
fn an_endpoint_of_two_services_is_a_hairpin_until_both_are_gone() {
    let hairpins = |elements: Vec<String>| elements.iter().filter(|line| line.starts_with("hairpin")).count();
    let mut proxy = web();
    assert_eq!(hairpins(lines(proxy.take_change().added())), 1);
    proxy.set_service(name("other"), Some(service(&["10.96.0.2"])));
    let other = || Some(Slice { service: "other".to_owned(), ..slice(&["10.0.0.2 local"]) });
    proxy.set_slice(name("other"), other());
    assert_eq!(hairpins(lines(proxy.take_change().added())), 0);
    proxy.set_service(name("web"), None);
    assert_eq!(hairpins(lines(proxy.take_change().removed())), 0);
    // From one to the other in one change.
    proxy.set_service(name("web"), Some(service(&["10.96.0.1"])));
    proxy.set_slice(name("other"), None);
    let change = proxy.take_change();
    assert_eq!((hairpins(lines(change.removed())), hairpins(lines(change.added()))), (0, 0));
    proxy.set_service(name("web"), None);
    assert_eq!(hairpins(lines(proxy.take_change().removed())), 1);
}

#[test]
fn another_address_or_zone_of_the_node_changes_all_services() {
    let mut proxy = web();
    let mut with_port = service(&["10.96.0.2"]);
    with_port.ports[0].node_port = Some(30080);
    proxy.set_service(name("port"), Some(with_port));
    proxy.take_change();
    proxy.set_node(Node { addresses: addresses(&["192.0.2.7"]), ..node() });
    let change = proxy.take_change();
    let expected =
        |address: &str| ["inside", "outside"].map(|it| format!("{address}:30080/tcp {it} -> reject"));
    assert_eq!(
        (lines(change.removed()), lines(change.added())),
        (expected("192.0.2.1").into(), expected("192.0.2.7").into())
    );
    // The node's networks are no matter of the Services.
    proxy.set_node(Node { inside: vec!["10.0.0.0/8".parse().unwrap()], ..proxy.node().clone() });
    assert!(proxy.before.is_empty());
    assert_eq!(lines(proxy.take_change().added()), ["inside 10.0.0.0-10.255.255.255"]);
}

#[test]
fn the_difference_to_the_kernel_counts_instead_of_that_to_the_last_change() {
    let mut proxy = web();
    let mut present = proxy.wanted();
    assert_eq!(proxy.take_difference(present.clone()).parts, []);
    assert_eq!(proxy.take_change(), Change::default());
    let missing = present.remove(2);
    let foreign = Element::Hairpin([10, 9, 9, 9].into());
    present.push(foreign);
    let change = proxy.take_difference(present);
    assert_eq!(change.removed().collect::<Vec<_>>(), [&foreign]);
    assert_eq!(change.added().collect::<Vec<_>>(), [&missing]);
    let services: Vec<_> =
        change.parts.iter().map(|part| part.service.as_ref().map(|it| it.name.clone())).collect();
    assert_eq!(services, [None, Some("web".to_owned())]);
    // The shared elements are counted on from there.
    proxy.set_service(name("web"), None);
    let gone = proxy.take_change();
    assert!(lines(gone.removed()).contains(&"hairpin 10.0.0.2".to_owned()));
}

#[test]
fn health_counts_the_addresses_of_ready_endpoints_on_this_node() {
    let mut proxy = Proxy::new(node());
    let service = Service {
        external_local: true,
        health_check_node_port: Some(31000),
        ..service(&["10.96.0.1", "fd00:96::1"])
    };
    proxy.set_service(name("web"), Some(service));
    let counts = |proxy: &Proxy| {
        proxy.health().iter().map(|it| (it.port, it.endpoints_v4, it.endpoints_v6)).collect::<Vec<_>>()
    };
    assert_eq!(counts(&proxy), [(31000, 0, 0)]);
    let mut endpoints =
        slice(&["10.0.0.1 local", "10.0.0.2", "10.0.0.3 local ending", "10.0.0.4 local unready"]);
    proxy.set_slice(name("web-v4"), Some(endpoints.clone()));
    proxy.set_slice(name("web-v6"), Some(slice(&["fd00::1 local", "fd00::2 local"])));
    endpoints.ports[0].port = Some(9090);
    proxy.set_slice(name("web-v4-2"), Some(endpoints));
    assert_eq!(counts(&proxy), [(31000, 1, 2)]);
    proxy.set_service(name("web"), None);
    assert!(counts(&proxy).is_empty());
}
