mod changes;
mod claims;
mod elements;
mod random;

use std::net::IpAddr;

use pod::addresses::IpFamily;
use sys::net::nft::Protocol;
use sys::net::services::{Balance, Endpoint, Handling, Network, Origin, Scope};

use super::*;
use crate::objects::{ServicePort, SliceEndpoint, SlicePort};

/// Node "here" with addresses of both families.
pub(super) fn node() -> Node {
    Node {
        name: "here".to_owned(),
        zone: Some("a".to_owned()),
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ..Node::default()
    }
}

pub(super) fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

/// A Service with port 80/tcp, which has no name, at these cluster IPs.
pub(super) fn service(cluster_ips: &[&str]) -> Service {
    let port = ServicePort { name: "".into(), protocol: Protocol::Tcp, port: 80, node_port: None };
    let cluster_ips = addresses(cluster_ips);
    Service { ports: vec![port], cluster_ips, ..Service::default() }
}

pub(super) fn addresses(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// Endpoints with port 8080/tcp of Service "web". Each is written as `10.0.0.1`, with ` local`, ` unready` or ` ending`.
pub(super) fn slice(endpoints: &[&str]) -> Slice {
    let endpoints: Vec<_> = endpoints.iter().map(|endpoint| endpoint_of(endpoint)).collect();
    let family = endpoints.first().map_or(IpFamily::V4, |endpoint| IpFamily::of(endpoint.address));
    let port = SlicePort { name: "".into(), protocol: Protocol::Tcp, port: Some(8080) };
    Slice { service: "web".to_owned(), family, ports: vec![port], endpoints }
}

fn endpoint_of(text: &str) -> SliceEndpoint {
    let mut words = text.split(' ');
    let address = words.next().unwrap().parse().unwrap();
    let has = |word| text.split(' ').any(|it| it == word);
    SliceEndpoint {
        address,
        ready: !has("unready") && !has("ending"),
        serving: !has("unready"),
        terminating: has("ending"),
        node: Some(if has("local") { "here" } else { "there" }.into()),
        hints: None,
    }
}

/// The elements of Service "web" with these endpoints, as lines.
pub(super) fn written(service: Service, endpoints: &[&str]) -> Vec<String> {
    let mut proxy = Proxy::new(node());
    proxy.set_service(name("web"), Some(service));
    let (v4, v6): (Vec<_>, Vec<_>) =
        endpoints.iter().partition(|endpoint| endpoint_of(endpoint).address.is_ipv4());
    proxy.set_slice(name("web-v4"), Some(slice(&v4)));
    if !v6.is_empty() {
        proxy.set_slice(name("web-v6"), Some(slice(&v6)));
    }
    proxy.wanted().iter().map(line).collect()
}

/// The lines that tell what happens at places.
pub(super) fn handlings(service: Service, endpoints: &[&str]) -> Vec<String> {
    written(service, endpoints).into_iter().filter(|line| line.contains(" -> ")).collect()
}

pub(super) fn line(element: &Element) -> String {
    match element {
        Element::Inside(network) => format!("inside {}", range(network)),
        Element::Service { place, origin, handling } => {
            let origin = match origin {
                Origin::Inside => "inside",
                Origin::Outside => "outside",
            };
            format!("{} {origin} -> {}", place_line(*place), handling_line(handling))
        }
        Element::Slot { set, index, endpoint } => {
            format!("slot {} {index}: {}", scope(set.scope), endpoint_line(*endpoint))
        }
        Element::Member { set, endpoint } => {
            format!("member {}: {}", scope(set.scope), endpoint_line(*endpoint))
        }
        Element::Hairpin(address) => format!("hairpin {address}"),
        Element::SourceRange { place, sources } => {
            format!("source {} {}", place_line(*place), range(sources))
        }
        Element::ClusterIp(address) => format!("cluster IP {address}"),
        Element::ServiceNetwork(network) => format!("service network {}", range(network)),
    }
}

fn handling_line(handling: &Handling) -> String {
    let Handling::Balance(Balance { set, slots, masquerade, affinity_seconds, checks_source }) = handling
    else {
        return format!("{handling:?}").to_lowercase();
    };
    let mut line = format!("{} {slots}", scope(set.scope));
    if *masquerade {
        line += " masquerade";
    }
    if *affinity_seconds > 0 {
        line += &format!(" affinity {affinity_seconds}");
    }
    if *checks_source {
        line += " checked";
    }
    line
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Cluster => "cluster",
        Scope::Local => "local",
    }
}

fn place_line(place: Place) -> String {
    format!("{}/{}", std::net::SocketAddr::from((place.address, place.port)), place.protocol)
}

fn endpoint_line(endpoint: Endpoint) -> String {
    std::net::SocketAddr::from((endpoint.address, endpoint.port)).to_string()
}

fn range(network: &Network) -> String {
    format!("{}-{}", network.first, network.last)
}
