//! SCTP: this needs no SCTP in the kernel, only its connection tracking. Both sides are raw sockets.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use super::cluster::World;
use crate::harness::{in_new_netns, needs};

/// Tells from where the first INIT to the port came.
const SERVER: &str = r#"
import socket, struct, sys
family = socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET
s = socket.socket(family, socket.SOCK_RAW, 132)
s.settimeout(30)
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(2000)
    packet = data if family == socket.AF_INET6 else data[20:]
    if struct.unpack("!H", packet[2:4])[0] == int(sys.argv[2]):
        print(peer[0], flush=True)
        break
"#;

/// Sends an INIT, once more each second as a client does.
const CLIENT: &str = r#"
import socket, struct, sys, time
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
init = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)
head = struct.pack("!HHI", 40000, port, 0)
packet = head + struct.pack("<I", crc32c(head + bytes(4) + init)) + init
s = socket.socket(family, socket.SOCK_RAW, 132)
for _ in range(20):
    s.sendto(packet, (host, 0))
    time.sleep(1)
"#;

#[test]
fn associations_are_led_to_endpoints() {
    needs!("nft", "ip", "python3");
    in_new_netns(|| {
        let world = World::new(2);
        let ports = json!([{"name": "sctp", "protocol": "SCTP", "port": 3868, "targetPort": 3868}]);
        let service = world.service("diameter", json!({"ports": ports}));
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
        for (family, kind) in ["IPv4", "IPv6"].into_iter().enumerate() {
            let slice = json!({
                "metadata": {"name": kind.to_lowercase(), "labels": {"kubernetes.io/service-name": "diameter"}},
                "addressType": kind, "ports": [{"name": "sctp", "protocol": "SCTP", "port": 3868}],
                "endpoints": [{"addresses": [world.pods[0].addresses[family]], "nodeName": "node1"}],
            });
            world.ask("POST", slices, &slice);
        }
        world.settle();
        for (family, name) in ["4", "6"].into_iter().enumerate() {
            let mut server = world.pods[0].netns.command("python3");
            let mut server =
                server.args(["-c", SERVER, name, "3868"]).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
            assert_eq!(said.next().unwrap().unwrap(), "ready");
            let mut client = world.pods[1].netns.command("python3");
            let mut client =
                client.args(["-c", CLIENT, &service.cluster_ips()[family], "3868"]).spawn().unwrap();
            let seen = said.next().map(Result::unwrap);
            client.kill().unwrap();
            client.wait().unwrap();
            server.wait().unwrap();
            assert_eq!(seen, Some(world.pods[1].addresses[family].clone()), "IPv{name}");
        }
    });
}
