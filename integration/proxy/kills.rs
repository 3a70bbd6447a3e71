//! Faults: kill -9 of the server at the system calls of a change, and a kernel that refuses changes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use sys::net::services::{Element, Present, Table};

use super::cluster::{World, on_node};
use crate::harness::{in_new_netns, needs};

/// What changes files or the kernel's state.
const CHANGES: [&str; 4] = ["sendto", "sendmsg", "pwrite64", "fdatasync"];
/// More than any change here makes of one of them.
const MOST: usize = 60;

/// Everything in the packet filter's table.
fn elements() -> Option<BTreeSet<Element>> {
    match Table::open().unwrap().read().unwrap() {
        Present::Intact(elements) => Some(elements.into_iter().collect()),
        Present::Absent | Present::Different => None,
    }
}

/// strace of all threads of the server, once it has them.
fn trace(world: &World, options: &[&str], file: &Path) -> Child {
    let pid = world.server().pid().as_raw_nonzero().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-p", &pid, "-e", &format!("trace={}", CHANGES.join(","))]).args(options);
    let mut strace = strace.arg("-o").arg(file).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(strace.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("attached"), "{said}");
    strace
}

/// A Service gets an address, an endpoint, another one, loses the first, and is deleted.
fn change(world: &World, name: &str) {
    let body = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let server = world.server();
    let json = "application/json";
    // The server may be gone at any of these.
    let ask = |method: &str, path: &str, body: &str| {
        let headers = format!("Content-Type: {json}\r\nContent-Length: {}\r\n", body.len());
        let token = server.token();
        let shown = crate::harness::serve::Shown::Token(&token);
        let connected = std::net::TcpStream::connect(server.address).is_ok();
        connected.then(|| {
            std::panic::catch_unwind(|| {
                server.raw(shown, &format!("{method} {path}"), &headers, body.as_bytes())
            })
        })
    };
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = |addresses: &[&str]| {
        let endpoints: Vec<_> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}], "endpoints": endpoints})
        .to_string()
    };
    ask("POST", "/api/v1/namespaces/default/services", &body);
    ask("POST", slices, &slice(&["10.244.0.2"]));
    ask("PUT", &format!("{slices}/{name}"), &slice(&["10.244.0.2", "10.244.0.3"]));
    ask("PUT", &format!("{slices}/{name}"), &slice(&["10.244.0.3"]));
    ask("DELETE", &format!("/api/v1/namespaces/default/services/{name}"), "");
}

/// How often the server made each call.
fn counts(trace: &Path) -> [usize; CHANGES.len()] {
    let text = fs::read_to_string(trace).unwrap();
    CHANGES.map(|name| text.lines().filter(|line| line.contains(&format!(" {name}("))).count())
}

#[test]
fn rules_equal_the_store_whenever_the_server_was_killed() {
    needs!("ip", "nft", "strace");
    in_new_netns(|| {
        let mut world = World::new(0);
        let file = world.dir.path().join("trace");
        let mut strace = trace(&world, &[], &file);
        change(&world, "first");
        world.settle();
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&strace),
            rustix::process::Signal::INT,
        )
        .unwrap();
        strace.wait().unwrap();
        let counts = counts(&file);
        assert!(counts.iter().sum::<usize>() > 8, "{counts:?}");
        let mut kills = 0;
        for (name, count) in CHANGES.iter().zip(counts) {
            for number in 1..=count.min(MOST) {
                let inject = format!("inject={name}:signal=KILL:when={number}");
                let mut strace = trace(&world, &["-e", &inject], &file);
                change(&world, &format!("s{kills}"));
                // The calls come in another number now and then: it may not have been killed.
                world.server.take().unwrap().kill();
                strace.wait().unwrap();
                kills += 1;
                world.start(&[]);
                world.settle();
                let found = elements();
                assert!(found.is_some(), "{name} {number}");
                // The same, made anew from the objects alone.
                on_node("nft delete table inet podhosts-services");
                let made = (0..1000).find_map(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    elements()
                });
                assert_eq!(found, made, "{name} {number}");
            }
        }
        assert!(kills > 8, "{kills}");
    });
}

/// The number of the thread that serves Services.
fn proxy_thread(world: &World) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", world.server().pid().as_raw_nonzero())).unwrap();
    let is_proxy = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "proxy\n")
    };
    let found = tasks.map(Result::unwrap).find(is_proxy).unwrap();
    found.file_name().into_string().unwrap()
}

#[test]
fn changes_that_the_kernel_refuses_are_told_and_tried_again_with_pauses() {
    needs!("ip", "nft", "strace");
    in_new_netns(|| {
        let world = World::new(0);
        world.settle();
        let file = world.dir.path().join("trace");
        let mut strace = Command::new("strace");
        strace.args([
            "-p",
            &proxy_thread(&world),
            "-e",
            "trace=sendto",
            "-e",
            "inject=sendto:error=ENOMEM",
            "-o",
        ]);
        let mut strace = strace.arg(&file).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(strace.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        world.service("web", json!({"type": "NodePort"}));
        let log = world.dir.path().join("server.log");
        let told = || fs::read_to_string(&log).unwrap().matches("Cannot allocate memory").count();
        let wait_for = |is_so: &dyn Fn() -> bool| {
            for _ in 0..1000 {
                if is_so() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            panic!("it does not happen: {}", fs::read_to_string(&log).unwrap());
        };
        let tries = || fs::read_to_string(&file).unwrap().lines().count();
        // The pauses are of half a second and more, so three tries take a second and a half.
        let begun = std::time::Instant::now();
        wait_for(&|| told() > 0 && tries() >= 3);
        let each_half_second = usize::try_from(begun.elapsed().as_millis() / 500).unwrap();
        assert!(tries() <= 8 * (each_half_second + 2), "{} tries", tries());
        assert!(!on_node("nft list map inet podhosts-services services4").contains("192.0.2.1"));
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&strace),
            rustix::process::Signal::INT,
        )
        .unwrap();
        strace.wait().unwrap();
        world.settle();
        let table = on_node("nft list map inet podhosts-services services4");
        assert!(table.contains("192.0.2.1"), "{table}");
    });
}
