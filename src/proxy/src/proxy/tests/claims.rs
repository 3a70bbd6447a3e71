use super::*;

fn with_node_port(cluster_ip: &str, created: i64) -> Service {
    let mut service = service(&[cluster_ip]);
    service.created = created;
    service.ports[0].node_port = Some(30080);
    service
}

/// The cluster IP to whose Service the node port leads.
fn leads_to(proxy: &Proxy) -> Vec<String> {
    let wanted = proxy.wanted();
    let node_port = wanted.iter().filter_map(|element| match element {
        Element::Service { place, handling: Handling::Balance(balance), origin: Origin::Inside }
            if place.port == 30080 =>
        {
            Some(balance.set.cluster_ip.to_string())
        }
        _ => None,
    });
    node_port.collect()
}

fn give(proxy: &mut Proxy, service: &str, value: Option<Service>) {
    let endpoints = value.is_some().then(|| Slice { service: service.to_owned(), ..slice(&["10.0.0.1"]) });
    proxy.set_service(name(service), value);
    proxy.set_slice(name(service), endpoints);
}

#[test]
fn the_older_service_has_a_place_and_the_other_one_gets_it_when_it_goes() {
    let mut proxy = Proxy::new(node());
    give(&mut proxy, "new", Some(with_node_port("10.96.0.2", 2)));
    assert_eq!(leads_to(&proxy), ["10.96.0.2"]);
    give(&mut proxy, "old", Some(with_node_port("10.96.0.1", 1)));
    assert_eq!(leads_to(&proxy), ["10.96.0.1"]);
    give(&mut proxy, "newest", Some(with_node_port("10.96.0.3", 3)));
    assert_eq!(leads_to(&proxy), ["10.96.0.1"]);
    let told = |proxy: &Proxy| -> Vec<_> {
        let conflicts =
            proxy.conflicts().map(|it| (it.place.port, it.owner.name.clone(), it.waiting.name.clone()));
        conflicts.collect()
    };
    let conflict = |owner: &str, waiting: &str| (30080, owner.to_owned(), waiting.to_owned());
    assert_eq!(told(&proxy), [conflict("old", "new"), conflict("old", "newest")]);
    give(&mut proxy, "old", None);
    assert_eq!(leads_to(&proxy), ["10.96.0.2"]);
    assert_eq!(told(&proxy), [conflict("new", "newest")]);
    // A Service that changes lets its place go, or claims another one.
    give(&mut proxy, "new", Some(service(&["10.96.0.2"])));
    assert_eq!(leads_to(&proxy), ["10.96.0.3"]);
    assert!(told(&proxy).is_empty());
    give(&mut proxy, "newest", None);
    assert!(leads_to(&proxy).is_empty());
}

#[test]
fn a_place_that_passes_on_is_removed_before_it_is_added() {
    let mut proxy = Proxy::new(node());
    give(&mut proxy, "old", Some(with_node_port("10.96.0.1", 1)));
    give(&mut proxy, "new", Some(with_node_port("10.96.0.2", 2)));
    proxy.take_change();
    give(&mut proxy, "old", None);
    let change = proxy.take_change();
    let lines = |elements: Vec<&Element>| -> Vec<_> {
        elements.into_iter().map(line).filter(|line| line.contains("30080")).collect()
    };
    let place = [
        "192.0.2.1:30080/tcp inside -> cluster 1 masquerade",
        "192.0.2.1:30080/tcp outside -> cluster 1 masquerade",
    ];
    assert_eq!(lines(change.removed().collect()), place);
    assert_eq!(lines(change.added().collect()), place);
    let services: Vec<_> =
        change.parts.iter().map(|part| part.service.as_ref().map(|it| it.name.clone())).collect();
    assert_eq!(services, [Some("new".to_owned()), Some("old".to_owned()), None]);
}

#[test]
fn who_loses_the_port_of_a_cluster_ip_has_no_endpoints_there() {
    let mut proxy = Proxy::new(node());
    give(&mut proxy, "old", Some(with_node_port("10.96.0.1", 1)));
    let mut other = with_node_port("10.96.0.1", 2);
    other.ports[0].node_port = Some(30081);
    give(&mut proxy, "new", Some(other.clone()));
    let lines: Vec<_> = proxy.wanted().iter().map(line).collect();
    assert!(!lines.iter().any(|line| line.contains("30081")), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("slot")).count(), 1);
    // Another port of the same address is free.
    other.ports[0].port = 81;
    give(&mut proxy, "new", Some(other));
    let lines: Vec<_> = proxy.wanted().iter().map(line).collect();
    assert_eq!(lines.iter().filter(|line| line.contains(":30081/tcp")).count(), 2);
    assert_eq!(lines.iter().filter(|line| line.starts_with("cluster IP")).count(), 1);
}

#[test]
fn one_service_may_name_an_address_twice() {
    let mut service = service(&["10.96.0.1"]);
    service.external_ips = addresses(&["198.51.100.1", "10.96.0.1", "198.51.100.1"]);
    service.load_balancer_ips = addresses(&["198.51.100.1"]);
    service.source_ranges = vec!["10.0.0.0/8".parse().unwrap()];
    // A second port of the same number leads nowhere, not even its node port.
    service.ports.push(ServicePort { node_port: Some(30080), ..service.ports[0].clone() });
    let lines = handlings(service, &["10.0.0.1"]);
    assert_eq!(
        lines,
        [
            "10.96.0.1:80/tcp inside -> cluster 1",
            "10.96.0.1:80/tcp outside -> cluster 1 masquerade",
            "198.51.100.1:80/tcp inside -> cluster 1 masquerade checked",
            "198.51.100.1:80/tcp outside -> cluster 1 masquerade checked",
        ]
    );
}

/// What happens at these places, as lines, and what the Services do not get.
fn at(proxy: &Proxy, address: &str) -> (Vec<String>, Vec<String>) {
    let lines = proxy.wanted().iter().map(line).filter(|line| line.contains(address)).collect();
    (lines, proxy.denied().map(|(name, denied)| format!("{} {denied}", name.name)).collect())
}

#[test]
fn the_addresses_of_machines_are_no_cluster_ips() {
    let mut proxy = Proxy::new(Node { machines: addresses(&["192.0.2.1"]).into_iter().collect(), ..node() });
    give(&mut proxy, "web", Some(service(&["192.0.2.1"])));
    let why = "web 192.0.2.1: it is an address of this node or of the API server".to_owned();
    assert_eq!(at(&proxy, "192.0.2.1"), (Vec::new(), vec![why]));
    // The one by which pods find the API server may be its address.
    give(&mut proxy, "kubernetes", Some(service(&["192.0.2.1"])));
    assert!(!at(&proxy, "192.0.2.1").0.is_empty());
    give(&mut proxy, "kubernetes", None);
    assert!(at(&proxy, "192.0.2.1").0.is_empty());
    // It gets the address when the node has another one, and loses it again.
    proxy.take_change();
    proxy.set_node(node());
    assert!(!at(&proxy, "192.0.2.1").0.is_empty() && at(&proxy, "192.0.2.1").1.is_empty());
    assert!(!proxy.take_change().parts.is_empty());
    proxy.set_node(Node { machines: addresses(&["192.0.2.1"]).into_iter().collect(), ..node() });
    assert_eq!((at(&proxy, "192.0.2.1").0, at(&proxy, "").1.len()), (Vec::new(), 1));
    give(&mut proxy, "web", None);
    assert!(at(&proxy, "").1.is_empty());
}

#[test]
fn nobody_has_the_place_of_the_api_server() {
    let place = Place { address: "192.0.2.9".parse().unwrap(), protocol: Protocol::Tcp, port: 80 };
    let mut proxy = Proxy::new(Node { kept: [place].into(), ..node() });
    let external = |ports: &[u16]| {
        let mut service = Service { external_ips: addresses(&["192.0.2.9"]), ..service(&["10.96.0.1"]) };
        let of = |port: &u16| ServicePort { port: *port, ..service.ports[0].clone() };
        service.ports = ports.iter().map(of).collect();
        service
    };
    give(&mut proxy, "web", Some(external(&[80])));
    let why = "web 192.0.2.9:80: the API server or a kubelet is reached there".to_owned();
    assert_eq!(at(&proxy, "192.0.2.9"), (Vec::new(), vec![why]));
    assert!(!at(&proxy, "10.96.0.1").0.is_empty());
    give(&mut proxy, "web", Some(external(&[81])));
    assert!(!at(&proxy, "192.0.2.9").0.is_empty() && at(&proxy, "").1.is_empty());
}
