use super::*;

/// Reached at a cluster IP, a load balancer's address, an external IP and a node port.
fn external() -> Service {
    let mut service = service(&["10.96.0.1"]);
    service.load_balancer_ips = addresses(&["198.51.100.1"]);
    service.external_ips = addresses(&["203.0.113.1"]);
    service.ports[0].node_port = Some(30080);
    service
}

/// The three places of `external` beside the cluster IP.
const EXTERNAL: [&str; 3] = ["192.0.2.1:30080/tcp", "198.51.100.1:80/tcp", "203.0.113.1:80/tcp"];

/// What is told of connections from inside and outside to the cluster IP, and to each external place.
#[track_caller]
fn check(service: Service, endpoints: &[&str], cluster_ip: [&str; 2], external: [&str; 2]) {
    let mut expected: Vec<_> = EXTERNAL.iter().map(|place| (*place, external)).collect();
    expected.insert(0, ("10.96.0.1:80/tcp", cluster_ip));
    let mut expected: Vec<_> = expected
        .iter()
        .flat_map(|(place, [inside, outside])| {
            [format!("{place} inside -> {inside}"), format!("{place} outside -> {outside}")]
        })
        .collect();
    expected.sort();
    let mut found = handlings(service, endpoints);
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn policies_decide_over_the_set_and_the_masquerade() {
    let (local, remote) = (["10.0.0.1 local", "10.0.0.2", "10.0.0.3"], ["10.0.0.2", "10.0.0.3"]);
    let internal_local = || Service { internal_local: true, ..external() };
    let external_local = || Service { external_local: true, ..external() };
    let both_local = || Service { internal_local: true, external_local: true, ..external() };

    let masquerade = ["cluster 3 masquerade"; 2];
    check(external(), &local, ["cluster 3", "cluster 3 masquerade"], masquerade);
    check(internal_local(), &local, ["local 1", "local 1 masquerade"], masquerade);
    check(external_local(), &local, ["cluster 3", "cluster 3 masquerade"], ["cluster 3", "local 1"]);
    check(both_local(), &local, ["local 1", "local 1 masquerade"], ["cluster 3", "local 1"]);

    // This node has no endpoint.
    check(internal_local(), &remote, ["drop"; 2], ["cluster 2 masquerade"; 2]);
    check(external_local(), &remote, ["cluster 2", "cluster 2 masquerade"], ["cluster 2", "drop"]);
    check(both_local(), &remote, ["drop"; 2], ["cluster 2", "drop"]);

    // No node has one.
    for service in [external(), internal_local(), external_local(), both_local()] {
        check(service.clone(), &[], ["reject"; 2], ["reject"; 2]);
        check(service, &["10.0.0.1 local unready", "10.0.0.2 unready"], ["reject"; 2], ["reject"; 2]);
    }
}

#[test]
fn without_external_places_a_local_policy_needs_no_set_of_the_cluster() {
    let service = || Service { internal_local: true, external_local: true, ..service(&["10.96.0.1"]) };
    assert_eq!(
        written(service(), &["10.0.0.1 local", "10.0.0.2"]),
        [
            "10.96.0.1:80/tcp inside -> local 1",
            "10.96.0.1:80/tcp outside -> local 1 masquerade",
            "slot local 0: 10.0.0.1:8080",
            "hairpin 10.0.0.1",
            "cluster IP 10.96.0.1",
        ]
    );
    let dropped =
        ["10.96.0.1:80/tcp inside -> drop", "10.96.0.1:80/tcp outside -> drop", "cluster IP 10.96.0.1"];
    assert_eq!(written(service(), &["10.0.0.2"]), dropped);
}

#[test]
fn slots_members_and_hairpins_are_those_of_the_sets_in_use() {
    let service = Service { external_local: true, affinity_seconds: Some(60), ..external() };
    let lines =
        written(service, &["10.0.0.3", "10.0.0.1 local", "10.0.0.2 local ending", "10.0.0.9 local unready"]);
    let lines: Vec<_> = lines.iter().filter(|line| !line.contains(" -> ")).map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "slot cluster 0: 10.0.0.1:8080",
            "slot cluster 1: 10.0.0.3:8080",
            "slot local 0: 10.0.0.1:8080",
            "member cluster: 10.0.0.1:8080",
            "member cluster: 10.0.0.3:8080",
            "member local: 10.0.0.1:8080",
            "hairpin 10.0.0.1",
            "cluster IP 10.96.0.1",
        ]
    );
    let affinity =
        handlings(Service { affinity_seconds: Some(60), ..super::service(&["10.96.0.1"]) }, &["10.0.0.1"]);
    assert_eq!(affinity[0], "10.96.0.1:80/tcp inside -> cluster 1 affinity 60");
}

#[test]
fn endpoints_that_end_serve_where_none_is_ready() {
    let service = Service { external_local: true, ..external() };
    let endpoints = ["10.0.0.1 local ending", "10.0.0.2 ending", "10.0.0.3"];
    check(service.clone(), &endpoints, ["cluster 1", "cluster 1 masquerade"], ["cluster 1", "local 1"]);
    let lines = written(service, &endpoints);
    for expected in ["slot cluster 0: 10.0.0.3:8080", "slot local 0: 10.0.0.1:8080", "hairpin 10.0.0.1"] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }
}

#[test]
fn families_are_apart() {
    let mut service = service(&["fd00:96::1", "10.96.0.1"]);
    service.external_ips = addresses(&["203.0.113.1", "2001:db8:1::1"]);
    service.ports[0].node_port = Some(30080);
    let lines = handlings(service.clone(), &["10.0.0.1", "10.0.0.2", "fd00::1"]);
    let inside: Vec<_> = lines.iter().filter(|line| line.contains("inside")).map(String::as_str).collect();
    assert_eq!(
        inside,
        [
            "10.96.0.1:80/tcp inside -> cluster 2",
            "192.0.2.1:30080/tcp inside -> cluster 2 masquerade",
            "203.0.113.1:80/tcp inside -> cluster 2 masquerade",
            "[2001:db8::1]:30080/tcp inside -> cluster 1 masquerade",
            "[2001:db8:1::1]:80/tcp inside -> cluster 1 masquerade",
            "[fd00:96::1]:80/tcp inside -> cluster 1",
        ]
    );
    // Without a cluster IP of the family, an address leads nowhere; without endpoints of the family, it refuses.
    service.cluster_ips = addresses(&["10.96.0.1"]);
    let lines = handlings(service, &["fd00::1"]);
    assert_eq!(lines.len(), 6);
    assert!(lines.iter().all(|line| line.ends_with("reject") && !line.contains("2001")), "{lines:#?}");
}

#[test]
fn a_port_has_the_endpoints_with_its_name_and_protocol() {
    let port =
        |name: &str, protocol, port| ServicePort { name: name.into(), protocol, port, node_port: None };
    let target = |name: &str, protocol, port| SlicePort { name: name.into(), protocol, port };
    let mut service = service(&["10.96.0.1"]);
    service.ports = vec![
        port("dns", Protocol::Udp, 53),
        port("dns-tcp", Protocol::Tcp, 53),
        port("sctp", Protocol::Sctp, 9),
        port("all", Protocol::Tcp, 1),
        port("zero", Protocol::Tcp, 2),
    ];
    let mut endpoints = slice(&["10.0.0.1"]);
    endpoints.ports = vec![
        target("dns", Protocol::Udp, Some(5353)),
        target("dns-tcp", Protocol::Tcp, Some(5354)),
        target("sctp", Protocol::Tcp, Some(99)),
        target("all", Protocol::Tcp, None),
        target("zero", Protocol::Tcp, Some(0)),
    ];
    let mut proxy = Proxy::new(node());
    proxy.set_service(name("web"), Some(service));
    proxy.set_slice(name("web"), Some(endpoints));
    let lines: Vec<_> = proxy.wanted().iter().map(line).filter(|line| !line.contains("outside")).collect();
    assert_eq!(
        lines,
        [
            "10.96.0.1:1/tcp inside -> reject",
            "10.96.0.1:2/tcp inside -> reject",
            "10.96.0.1:53/tcp inside -> cluster 1",
            "10.96.0.1:53/udp inside -> cluster 1",
            "10.96.0.1:9/sctp inside -> reject",
            "slot cluster 0: 10.0.0.1:5354",
            "slot cluster 0: 10.0.0.1:5353",
            "cluster IP 10.96.0.1",
        ]
    );
}

#[test]
fn services_without_a_cluster_ip_or_with_a_strange_one_have_no_elements() {
    let strange =
        ["0.0.0.0", "127.0.0.1", "::", "::1", "224.0.0.1", "169.254.0.1", "fe80::1", "::ffff:10.0.0.1"];
    for cluster_ips in [[].as_slice(), &strange] {
        let mut service = service(cluster_ips);
        service.external_ips = addresses(&["203.0.113.1"]);
        service.ports[0].node_port = Some(30080);
        assert!(written(service, &["10.0.0.1"]).is_empty());
    }
}

#[test]
fn endpoints_with_an_address_that_cannot_be_reached_do_not_count() {
    let mut endpoints = slice(&[
        "10.0.0.1",
        "0.0.0.0",
        "127.0.0.1",
        "169.254.0.1",
        "224.0.0.1",
        "fd00::1",
        "255.255.255.255",
    ]);
    let mut proxy = Proxy::new(node());
    proxy.set_service(name("web"), Some(service(&["10.96.0.1", "fd00:96::1"])));
    proxy.set_slice(name("v4"), Some(endpoints.clone()));
    endpoints.family = IpFamily::V6;
    endpoints.endpoints.extend(["fe80::1", "::1", "::", "ff02::1", "::ffff:10.0.0.1"].map(endpoint_of));
    proxy.set_slice(name("v6"), Some(endpoints));
    let lines: Vec<_> = proxy.wanted().iter().map(line).filter(|line| line.starts_with("slot")).collect();
    assert_eq!(lines, ["slot cluster 0: 10.0.0.1:8080", "slot cluster 0: [fd00::1]:8080"]);
}

#[test]
fn an_endpoint_in_two_slices_counts_once() {
    let mut proxy = Proxy::new(node());
    proxy.set_service(name("web"), Some(Service { external_local: true, ..external() }));
    let slots = |proxy: &Proxy| -> Vec<_> {
        proxy.wanted().iter().map(line).filter(|line| line.starts_with("slot")).collect()
    };
    // The one that does not terminate counts, whatever the order; of two of these, that in the later slice.
    for (first, second) in [("10.0.0.1 ending", "10.0.0.1"), ("10.0.0.1", "10.0.0.1 ending")] {
        proxy.set_slice(name("web-1"), Some(slice(&[first, "10.0.0.2"])));
        proxy.set_slice(name("web-2"), Some(slice(&[second, "10.0.0.2"])));
        assert_eq!(slots(&proxy), ["slot cluster 0: 10.0.0.1:8080", "slot cluster 1: 10.0.0.2:8080"]);
    }
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1 local"])));
    proxy.set_slice(name("web-2"), Some(slice(&["10.0.0.1 unready"])));
    assert!(slots(&proxy).is_empty());
    proxy.set_slice(name("web-1"), Some(slice(&["10.0.0.1 unready"])));
    proxy.set_slice(name("web-2"), Some(slice(&["10.0.0.1 local"])));
    assert_eq!(slots(&proxy), ["slot cluster 0: 10.0.0.1:8080", "slot local 0: 10.0.0.1:8080"]);
}

#[test]
fn source_ranges_hold_for_the_addresses_of_load_balancers() {
    let ranges = |ranges: &[&str]| ranges.iter().map(|range| range.parse().unwrap()).collect();
    let lines = |source_ranges| {
        let mut lines = written(Service { source_ranges, ..external() }, &["10.0.0.1"]);
        lines.retain(|line| line.starts_with("source") || line.contains("checked"));
        lines
    };
    let checked =
        ["inside", "outside"].map(|it| format!("198.51.100.1:80/tcp {it} -> cluster 1 masquerade checked"));
    let source = |range: &str| format!("source 198.51.100.1:80/tcp {range}");

    let found = lines(ranges(&["10.1.0.0/16", "10.1.2.0/24", "fd00::/8"]));
    assert_eq!(found, [checked.as_slice(), &[source("10.1.0.0-10.1.255.255")]].concat());
    // From a node that may connect, the load balancer's address may, too: it may be the node's own.
    let found = lines(ranges(&["192.0.2.0/24"]));
    let both = [source("192.0.2.0-192.0.2.255"), source("198.51.100.1-198.51.100.1")];
    assert_eq!(found, [checked.as_slice(), &both].concat());
    // All addresses, or none of the family: nothing is checked.
    assert!(lines(ranges(&["10.1.0.0/16", "0.0.0.0/0"])).is_empty());
    assert!(lines(ranges(&["fd00::/8"])).is_empty());
}

#[test]
fn many_endpoints_have_more_slots() {
    let endpoints: Vec<_> = (1..=100).map(|number| format!("10.0.0.{number}")).collect();
    let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
    let lines = written(service(&["10.96.0.1"]), &endpoints);
    assert_eq!(lines[0], "10.96.0.1:80/tcp inside -> cluster 4096");
    assert_eq!(lines.iter().filter(|line| line.starts_with("slot")).count(), 4096);
}

#[test]
fn the_node_has_elements_too() {
    let networks = |networks: &[&str]| networks.iter().map(|it| it.parse().unwrap()).collect();
    let inside = networks(&["10.0.0.0/24", "10.0.1.0/24", "192.0.2.1/32", "fd00::/64"]);
    let service_networks = networks(&["10.96.0.0/16"]);
    let proxy = Proxy::new(Node { inside, service_networks, ..node() });
    let lines: Vec<_> = proxy.wanted().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "inside 10.0.0.0-10.0.1.255",
            "inside 192.0.2.1-192.0.2.1",
            "inside fd00::-fd00::ffff:ffff:ffff:ffff",
            "service network 10.96.0.0-10.96.255.255",
        ]
    );
}
