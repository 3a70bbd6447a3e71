use sys::net::conntrack::Entry;

use super::*;
use crate::objects::{Node, ObjectName, Service, ServicePort, Slice, SliceEndpoint, SlicePort};

const NAME: &str = "dns";

fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

fn dns() -> Service {
    let port = ServicePort { name: "".into(), protocol: Protocol::Udp, port: 53, node_port: Some(30053) };
    let external_ips = vec!["203.0.113.1".parse().unwrap()];
    Service {
        ports: vec![port],
        cluster_ips: vec![[10, 96, 0, 10].into()],
        external_ips,
        ..Service::default()
    }
}

/// Endpoints by their last byte: those in `serving`, and those that do not serve.
fn slice(serving: &[u8], others: &[u8]) -> Slice {
    let endpoint = |last: &u8, serving| SliceEndpoint {
        address: [10, 0, 0, *last].into(),
        ready: serving,
        serving,
        terminating: false,
        node: None,
        hints: None,
    };
    let mut endpoints: Vec<_> = serving.iter().map(|last| endpoint(last, true)).collect();
    endpoints.extend(others.iter().map(|last| endpoint(last, false)));
    let port = SlicePort { name: "".into(), protocol: Protocol::Udp, port: Some(5353) };
    Slice { service: NAME.to_owned(), family: pod::addresses::IpFamily::V4, ports: vec![port], endpoints }
}

fn proxy(serving: &[u8]) -> Proxy {
    let node = Node { name: "here".to_owned(), addresses: vec![[192, 0, 2, 1].into()], ..Node::default() };
    let mut proxy = Proxy::new(node);
    proxy.set_service(name(NAME), Some(dns()));
    proxy.set_slice(name(NAME), Some(slice(serving, &[])));
    proxy
}

fn flow(destination: &str, answered_by: &str) -> Flow {
    let [destination, answered_by] = [destination, answered_by].map(|address| address.parse().unwrap());
    let client = "10.0.0.77:40000".parse().unwrap();
    Flow { protocol: Protocol::Udp, client, destination, answered_by, entry: Entry::default() }
}

/// Which of the flows to these places are stale.
fn found_stale(proxy: &Proxy, places: &[Place], flows: impl IntoIterator<Item = Flow>) -> Vec<Flow> {
    let leads = proxy.leads(places);
    flows.into_iter().filter(|flow| leads.is_stale(flow)).collect()
}

/// The ports of the places whose flows a change asks to check.
fn checked(proxy: &mut Proxy) -> Vec<u16> {
    proxy.take_change().flows.iter().map(|place| place.port).collect()
}

#[test]
fn flows_are_checked_when_an_endpoint_goes_or_a_place_changes() {
    let all = [53, 30053, 53];
    let mut proxy = proxy(&[1, 2]);
    assert_eq!(checked(&mut proxy), all);
    proxy.set_slice(name(NAME), Some(slice(&[1, 2, 3], &[])));
    assert!(checked(&mut proxy).is_empty());
    proxy.set_slice(name(NAME), Some(slice(&[1, 3], &[2])));
    assert_eq!(checked(&mut proxy), all);
    // An endpoint that did not serve may go.
    proxy.set_slice(name(NAME), Some(slice(&[1, 3], &[])));
    assert!(checked(&mut proxy).is_empty());
    proxy.set_service(name(NAME), Some(Service { external_ips: Vec::new(), ..dns() }));
    assert_eq!(checked(&mut proxy), [53]);
    proxy.set_slice(name(NAME), None);
    assert_eq!(checked(&mut proxy), [53, 30053]);
    proxy.set_slice(name(NAME), Some(slice(&[1], &[])));
    assert_eq!(checked(&mut proxy), [53, 30053]);
    proxy.set_service(name(NAME), None);
    assert_eq!(checked(&mut proxy), [53, 30053]);
}

#[test]
fn tcp_needs_no_check() {
    let mut proxy = proxy(&[1, 2]);
    proxy.take_change();
    let mut service = dns();
    service.ports[0].protocol = Protocol::Tcp;
    proxy.set_service(name(NAME), Some(service));
    assert_eq!(checked(&mut proxy), [53, 30053, 53]);
    let place = Place { address: [10, 96, 0, 10].into(), protocol: Protocol::Tcp, port: 53 };
    let tcp = Flow { protocol: Protocol::Tcp, ..flow("10.96.0.10:53", "10.0.0.9:5353") };
    assert!(found_stale(&proxy, &[place], [tcp]).is_empty());
}

#[test]
fn only_flows_to_endpoints_that_are_gone_are_stale() {
    let mut proxy = proxy(&[1, 2]);
    let places = proxy.take_change().flows;
    let good = [
        flow("10.96.0.10:53", "10.0.0.1:5353"),
        flow("203.0.113.1:53", "10.0.0.2:5353"),
        flow("192.0.2.1:30053", "10.0.0.2:5353"),
        // Not to a place of this proxy.
        flow("10.96.0.10:54", "10.0.0.9:5353"),
        flow("192.0.2.2:30053", "10.0.0.9:5353"),
        flow("10.96.0.11:53", "10.96.0.11:53"),
        Flow { protocol: Protocol::Sctp, ..flow("10.96.0.10:53", "10.0.0.9:5353") },
    ];
    let stale = [
        flow("10.96.0.10:53", "10.0.0.3:5353"),
        flow("10.96.0.10:53", "10.0.0.1:5354"),
        flow("203.0.113.1:53", "10.0.0.9:5353"),
        flow("192.0.2.1:30053", "10.0.0.9:5353"),
        // Made before the Service: nothing leads them to an endpoint.
        flow("10.96.0.10:53", "10.96.0.10:53"),
        flow("192.0.2.1:30053", "192.0.2.1:30053"),
    ];
    let all: Vec<_> = good.into_iter().chain(stale).collect();
    assert_eq!(found_stale(&proxy, &places, all.clone()), stale);
    // Places that are not asked for are left alone.
    assert_eq!(found_stale(&proxy, &[], all), []);
}

#[test]
fn an_endpoint_that_still_serves_keeps_its_flows() {
    let mut proxy = proxy(&[1]);
    let places = proxy.take_change().flows;
    let mut endpoints = slice(&[1, 2], &[3]);
    endpoints.endpoints[1].ready = false;
    endpoints.endpoints[1].terminating = true;
    proxy.set_slice(name(NAME), Some(endpoints));
    let flows = ["10.0.0.1:5353", "10.0.0.2:5353", "10.0.0.3:5353"].map(|by| flow("10.96.0.10:53", by));
    assert_eq!(found_stale(&proxy, &places, flows), [flows[2]]);
}

#[test]
fn a_place_that_is_gone_takes_the_flows_that_were_led_along() {
    let mut proxy = proxy(&[1]);
    let places = proxy.take_change().flows;
    let flows = [flow("192.0.2.1:30053", "10.0.0.1:5353"), flow("192.0.2.1:30053", "192.0.2.1:30053")];
    proxy.set_slice(name(NAME), None);
    assert_eq!(found_stale(&proxy, &places, flows), flows);
    proxy.set_service(name(NAME), None);
    assert_eq!(found_stale(&proxy, &places, flows), [flows[0]]);
}
