//! Published attacks on network plugins, on sockets and files of the node, and on API servers.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, error_of, routed};
use crate::harness::serve::{Server, Shown};
use crate::harness::{bin, needs};

const SERVICES: &str = "/api/v1/namespaces/default/services";

/// CVE-2021-20206: the name of a plugin in a configuration leads to another program. The plugin executes nothing: a
/// delegate that is named is refused, and never looked for.
#[test]
fn the_type_of_a_plugin_leads_to_another_program() {
    needs!("ip", "nft", "strace");
    let node = CniNode::new();
    node.pod("c1");
    let (evil, mark) = (node.path("evil"), node.path("mark"));
    node.sh(&format!(
        "printf '#!/bin/sh\\ntouch {}\\n' >{e}; chmod +x {e}",
        mark.display(),
        e = evil.display()
    ));
    let up = format!("../../../../../../..{}", evil.display());
    let (traced, trace) = (node.path("traced"), node.path("trace"));
    let plugin = bin("podhosts-cni");
    let script =
        format!("#!/bin/sh\nexec strace -f -e trace=execve -o {} {}\n", trace.display(), plugin.display());
    fs::write(&traced, script).unwrap();
    fs::set_permissions(&traced, fs::Permissions::from_mode(0o755)).unwrap();
    let cases = [
        ("type", json!(up)),
        ("ipam.type", json!(up)),
        ("ipam.type", json!(evil)),
        ("delegate", json!({"type": up})),
        ("bridge", json!(up)),
    ];
    for (key, value) in cases {
        for command in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
            let mut config = routed();
            config["cniVersion"] = "1.1.0".into();
            match key.split_once('.') {
                Some((outer, inner)) => config[outer][inner] = value.clone(),
                None => config[key] = value.clone(),
            }
            node.call_plugin(&traced, &Call::new(command, "c1", &config));
            let executed = fs::read_to_string(&trace).unwrap();
            // The plugin itself.
            assert_eq!(executed.matches("execve(").count(), 1, "{command}, {key}: {executed}");
            assert!(!mark.exists(), "{command}, {key}");
        }
    }
}

/// CVE-2025-0750: a name of the pod's leads to another directory, where files are removed. Names that become paths are
/// checked by each command that uses them, also by those that have to succeed whatever comes.
#[test]
fn the_id_of_a_pod_leads_to_a_file_of_the_node() {
    needs!("ip", "nft");
    let node = CniNode::new();
    node.pod("c1");
    node.add("c1", &routed());
    node.sh("mkdir -p /run/victim; echo x >/run/victim.json; echo x >/run/victim/leases.db; echo x >/run/victim/lock");
    let before = node.sh("ls -laR --time-style=full-iso /run/victim /run/victim.json /run/podhosts/pods");
    let id = "../../victim";
    for command in ["ADD", "CHECK", "DEL"] {
        let config = routed();
        let mut call = Call::new(command, id, &config);
        call.netns = "c1";
        assert_eq!(error_of(&node.call(&call)).0, 4, "{command}");
        let mut call = Call::new(command, "c1", &config);
        call.ifname = "../victim";
        assert_eq!(error_of(&node.call(&call)).0, 4, "{command}");
    }
    for command in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
        let mut config = routed();
        (config["name"], config["cniVersion"]) = (id.into(), "1.1.0".into());
        let error = error_of(&node.call(&Call::new(command, "c1", &config))).1;
        assert!(error.contains("\"../../victim\" is invalid"), "{command}: {error}");
    }
    let mut config = routed();
    config["cniVersion"] = "1.1.0".into();
    config["cni.dev/valid-attachments"] =
        json!([{"containerID": id, "ifname": "../x"}, {"containerID": "c1", "ifname": "eth0"}]);
    node.call(&Call::new("GC", "", &config));
    assert_eq!(
        node.sh("ls -laR --time-style=full-iso /run/victim /run/victim.json /run/podhosts/pods"),
        before
    );
}

/// CVE-2021-43784: a list is longer than a length of netlink's can tell, and its end is read as messages. There are at
/// most as many host ports as one message holds, with whatever else a pod needs; one more is an error before any work.
#[test]
fn more_host_ports_than_a_netlink_attribute_can_count() {
    needs!("ip", "nft");
    let lists: Vec<Value> = (0..64).map(|n| json!([{"subnet": format!("10.{n}.0.0/24")}])).collect();
    for (mode, ipam) in [("routed", routed()["ipam"].clone()), ("bridge", json!({"ranges": lists}))] {
        let node = CniNode::new();
        node.pod("c1");
        let before = node.traces();
        let mut config = routed();
        (config["mode"], config["ipMasq"], config["ipam"]) = (mode.into(), true.into(), ipam);
        let mut ports = |count: u32| {
            let port = |n: u32| json!({"hostPort": 1_000 + n, "containerPort": 80, "protocol": "tcp"});
            config["runtimeConfig"] = json!({"portMappings": (0..count).map(port).collect::<Vec<_>>()});
            config.clone()
        };
        let (code, message) = error_of(&node.call(&Call::new("ADD", "c1", &ports(901))));
        let expected = "runtimeConfig.portMappings: 901 host ports, expected at most 900";
        assert_eq!((code, message.as_str()), (7, expected), "{mode}");
        assert_eq!(node.traces(), before);
        node.add("c1", &ports(900));
        let rules = node.sh("nft list map inet podhosts hostports4");
        assert_eq!(rules.matches("tcp . ").count(), 900, "{mode}: {rules}");
        // DEL never fails for what the configuration says.
        node.del("c1", &ports(2_000));
        assert!(!node.sh("ip -o link; nft list ruleset").contains("veth"), "{mode}");
    }
}

/// CVE-2020-15257: an abstract socket of the node is reached from every container on its network. Plugin and API server
/// have none, and no socket on any other address than the server's own.
#[test]
fn abstract_sockets_on_the_nodes_network() {
    needs!("ip", "nft");
    let node = CniNode::new();
    node.pod("c1");
    let dir = tempfile::tempdir().unwrap();
    let sockets = || {
        node.sh("cat /proc/net/unix | awk '$8 ~ /^@/ {print $8}'; cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'")
    };
    let before = sockets();
    let server = Server::start_on(&node, dir.path(), &[]);
    node.add("c1", &routed());
    let listening = sockets();
    let new: Vec<&str> = listening.lines().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, [format!("0100007F:{:04X}", server.address.port())], "{listening}");
}

/// CVE-2021-41103, CVE-2024-25621: users of the node read and enter directories of the engine's. Nobody else than root
/// reads what may hold a secret: annotations, the hook's log, keys, the token and the store.
#[test]
fn users_of_the_node_read_what_pods_and_the_server_keep() {
    needs!("ip", "nft", "setpriv");
    let node = CniNode::new();
    node.pod("c1");
    let mut config = routed();
    config["capabilities"] = json!({"io.kubernetes.cri.pod-annotations": true});
    config["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"a": "a secret"}});
    node.add("c1", &config);
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _server = Server::start_on(&node, dir.path(), &[]);
    let hook = bin("podhosts-hook");
    node.sh(&format!("mount -t tmpfs tmpfs /var/log; {} </dev/null || true", hook.display()));
    let script = format!("find /run/podhosts /var/log/podhosts {} -type f", dir.path().display());
    let all = node.sh(&script);
    let secrets: Vec<&str> = all
        .lines()
        .filter(|path| ![".crt", "lock", "server.log"].iter().any(|end| path.ends_with(end)))
        .collect();
    assert!(secrets.len() >= 6, "{all}");
    let mut readable = Vec::new();
    for path in secrets {
        let args = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "cat", path];
        if node.run("setpriv", &args).ok {
            readable.push(path);
        }
    }
    assert!(readable.is_empty(), "{readable:?}");
}

/// CVE-2022-21698, CVE-2020-8552: each new word in a request is a new time series, for ever. The metrics have the
/// methods and resources that there are.
#[test]
fn each_new_method_is_a_time_series() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let lines = || String::from_utf8(server.get("/metrics").body).unwrap().lines().count();
    let ask = |n: u32| {
        let agent = format!("User-Agent: agent-{n}\r\n");
        server.raw(Shown::Token(&token), &format!("METHOD{n} /api/v1/kind{n}/x{n}?watch={n}"), &agent, &[]);
        server.raw(Shown::Nothing, &format!("GET /other{n}"), &agent, &[]);
    };
    // Reading the metrics counts, too.
    lines();
    (0..3).for_each(ask);
    let before = lines();
    (3..60).for_each(ask);
    assert!(lines() <= before, "{before} lines became {}", lines());
}

/// CVE-2019-11250, CVE-2020-8565: tokens are in the log. Neither the log nor the metrics have one, whatever way it came.
#[test]
fn the_token_is_in_the_log() {
    needs!();
    let server = Server::start(&[]);
    let log = server.dir.join("server.log");
    let token = server.token();
    for path in [SERVICES.to_owned(), format!("/x?access_token={token}"), format!("/{token}")] {
        for headers in ["", "Authorization: Basic x\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
            server.raw(Shown::Token(&token), &format!("GET {path}"), headers, &[]);
            server.raw(Shown::Nothing, &format!("POST {path}"), headers, b"not json");
        }
    }
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains(&token) && !metrics.contains(&token), "{log}");
}

/// CVE-2018-1002105: a request to change the protocol opens a way past the server's checks. No protocol is changed, and
/// what follows is a request like any other.
#[test]
fn a_request_upgrades_its_connection() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    for target in ["/api/v1/namespaces/default/pods/x/exec", SERVICES, "/api/v1/nodes/node1/proxy/"] {
        let mut stream = server.connect(Shown::Nothing);
        stream.sock.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        let first = format!("GET {target} HTTP/1.1\r\n{upgrade}Authorization: Bearer {token}\r\n\r\n");
        let second = format!("GET {SERVICES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(format!("{first}{second}").as_bytes()).unwrap();
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        let text = String::from_utf8_lossy(&received).into_owned();
        let codes: Vec<&str> = text
            .match_indices("HTTP/1.1 ")
            .map(|(at, start)| &text[at + start.len()..at + start.len() + 3])
            .collect();
        assert!(!codes.contains(&"101"), "{target}: {text}");
        // Without the token it is refused, as it would be on a connection of its own.
        assert_eq!(codes.last(), Some(&"401"), "{target}: {text}");
    }
}

/// CVE-2023-44487: streams are opened and reset at once, and the server works for each of them. It ends such a
/// connection, and goes on for others.
#[test]
fn streams_are_opened_and_reset_at_once() {
    needs!();
    let server = Server::start(&[]);
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    // Method GET, scheme https, path / of HPACK's static table, and an authority.
    let headers = [&[0x82, 0x87, 0x84, 0x41, 9][..], b"localhost"].concat();
    let mut stream = server.connect(Shown::Nothing);
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream.sock.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut ended =
        stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat()).is_err();
    for batch in 0..200u32 {
        let frames: Vec<u8> = (0..100)
            .flat_map(|n| {
                let id = (batch * 100 + n) * 2 + 1;
                [frame(1, 5, id, &headers), frame(3, 0, id, &8u32.to_be_bytes())].concat()
            })
            .collect();
        if stream.write_all(&frames).and_then(|()| stream.flush()).is_err() {
            ended = true;
            break;
        }
    }
    assert!(ended, "20,000 streams were opened and reset on one connection");
    assert_eq!(server.get("/version").code, 200);
    assert!(server.memory() < 100_000, "{} KiB", server.memory());
}
