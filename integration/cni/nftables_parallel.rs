//! Many attachments at once: the last pod's removal takes the table away while another pod's rules are installed.

use std::net::IpAddr;
use std::process::Command;

use sys::net::nft::{PortMapping, Protocol, Rules, install, missing};

use crate::harness::nft::take_away;
use crate::harness::{in_new_netns, needs};

const PODS: u8 = 4;
const ROUNDS: usize = 10;

#[test]
fn pods_come_and_go_at_the_same_time() {
    needs!("nft");
    in_new_netns(|| {
        // Threads are where the one is that starts them.
        std::thread::scope(|scope| {
            for pod in 1..=PODS {
                scope.spawn(move || come_and_go(pod));
            }
        });
        let left = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    });
}

fn come_and_go(pod: u8) {
    let port = PortMapping {
        host_ip: None,
        host_port: u16::from(pod),
        container_port: 8080,
        protocol: Protocol::Tcp,
    };
    let rules = Rules {
        network: "bridge".to_owned(),
        subnets: vec![(IpAddr::from([10, 0, 0, 0]), 24)],
        addresses: vec![IpAddr::from([10, 0, 0, pod])],
        masquerade: true,
        ports: vec![port],
        interface: None,
    };
    for round in 0..ROUNDS {
        install(&rules, Vec::new).unwrap();
        let absent = missing(std::slice::from_ref(&rules)).unwrap();
        assert!(absent.is_empty(), "pod {pod}, round {round}: {absent:?}");
        take_away(&rules, round % 2 == 0);
    }
}
