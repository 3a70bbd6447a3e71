//! kill -9 of the server at the system calls of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use sys::net::services::{Element, Present, Table};

use super::cluster::{World, on_node};
use crate::harness::serve::Shown;
use crate::harness::{in_new_netns, needs};

/// Everything in the packet filter's table.
pub(super) fn elements() -> Option<BTreeSet<Element>> {
    match Table::open().unwrap().read().unwrap() {
        Present::Intact(elements) => Some(elements.into_iter().collect()),
        Present::Absent | Present::Different => None,
    }
}

/// The server's threads: number and name.
pub(super) fn threads(world: &World) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", world.server().pid().as_raw_nonzero())).unwrap();
    let tasks = tasks.map(|task| task.unwrap().path());
    let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap().trim().to_owned();
    tasks.map(|task| (task.file_name().unwrap().to_str().unwrap().to_owned(), name(&task))).collect()
}

/// strace of the server's threads called `name`, once it has them.
pub(super) fn trace(world: &World, name: &str, options: &[&str], file: &Path) -> Child {
    let mut strace = Command::new("strace");
    let threads: Vec<_> = threads(world).into_iter().filter(|(_, other)| name == other).collect();
    threads.iter().for_each(|(number, _)| {
        strace.args(["-p", number]);
    });
    let mut strace = strace.args(options).arg("-o").arg(file).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
    // One line for each thread that is traced.
    for _ in threads {
        let line = said.next().unwrap().unwrap();
        assert!(line.contains("attached"), "{line}");
    }
    std::thread::spawn(move || said.for_each(drop));
    strace
}

/// Ends strace; the server goes on.
pub(super) fn end(mut strace: Child) {
    let process = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    strace.wait().unwrap();
}

/// What the server answers, unless it is gone.
fn ask(world: &World, method: &str, path: &str, body: &str) -> Option<crate::harness::serve::Answer> {
    let server = world.server();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let token = server.token();
    std::net::TcpStream::connect(server.address).ok()?;
    let asked = || server.raw(Shown::Token(&token), &format!("{method} {path}"), &headers, body.as_bytes());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(asked)).ok().flatten()
}

/// A Service gets an address, an endpoint, another one, loses the first, and is deleted. The server may be gone at any of
/// these. Ends when the packet filter has them, or the server is gone; whether it lives.
fn change(world: &World, name: &str) -> bool {
    let body = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}).to_string();
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = |addresses: &[&str]| {
        let endpoints: Vec<_> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}], "endpoints": endpoints})
        .to_string()
    };
    let services = "/api/v1/namespaces/default/services";
    ask(world, "POST", services, &body);
    ask(world, "POST", slices, &slice(&["10.244.0.2"]));
    ask(world, "PUT", &format!("{slices}/{name}"), &slice(&["10.244.0.2", "10.244.0.3"]));
    ask(world, "PUT", &format!("{slices}/{name}"), &slice(&["10.244.0.3"]));
    ask(world, "DELETE", &format!("{services}/{name}"), "");
    let version = |text: &str| text.parse::<u64>().unwrap();
    let is_there = || {
        // A server that is killed while it answers leaves a part of the list.
        let list: serde_json::Value = serde_json::from_slice(&ask(world, "GET", services, "")?.body).ok()?;
        let page = String::from_utf8(ask(world, "GET", "/metrics", "")?.body).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix("podhosts_proxy_resource_version "))?;
        Some(version(line) >= version(list["metadata"]["resourceVersion"].as_str().unwrap()))
    };
    for _ in 0..1000 {
        match is_there() {
            Some(false) => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other.is_some(),
        }
    }
    panic!("the proxy does not follow");
}

/// A place to kill the server: a thread, a system call, and which one of that name.
type Point = (String, String, usize);

/// How often a thread makes each system call of a change; of several with one name the one that makes most of them.
fn counts(world: &World, thread: &str, file: &Path) -> BTreeMap<String, usize> {
    let strace = trace(world, thread, &[], file);
    change(world, &format!("counted-{thread}"));
    end(strace);
    let mut of_each: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        // The number of the thread stands in front where there are several.
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let thread = &line[..line.len() - call.len()];
        // "<... futex resumed>" is what a thread was at before.
        let name = call.split_once('(').map(|(name, _)| name).filter(|name| !name.starts_with('<'));
        if let Some(name) = name {
            *of_each.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
        }
    }
    let mut counts = BTreeMap::new();
    for ((_, call), count) in of_each {
        let most = counts.entry(call).or_default();
        *most = count.max(*most);
    }
    counts
}

/// The places that are tried: of each call of each thread the first one, one in the middle and the last one, or all of them
/// where `PODHOSTS_TEST_EVERY_CALL=1` says so.
fn plan(world: &World, file: &Path) -> Vec<Point> {
    #[allow(clippy::disallowed_methods)]
    let all = std::env::var_os("PODHOSTS_TEST_EVERY_CALL").is_some_and(|value| value == "1");
    let numbers = |count: usize| -> BTreeSet<usize> {
        if all { (1..=count).collect() } else { [1, count.div_ceil(2), count].into() }
    };
    let names: BTreeSet<String> = threads(world).into_iter().map(|(_, name)| name).collect();
    let mut plan = Vec::new();
    for thread in names {
        for (call, count) in counts(world, &thread, file) {
            plan.extend(numbers(count).into_iter().map(|number| (thread.clone(), call.clone(), number)));
        }
    }
    plan
}

/// Whether the server is dead; that somebody waits for it is left to do.
fn is_dead(world: &World) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", world.server().pid().as_raw_nonzero())).unwrap();
    stat.contains(") Z")
}

/// Kills the server at the system calls that its threads make from the first request of a change to the end of the last:
/// the writer's to the disk, the proxy's to the kernel, and what serves requests. By default three of each name in each
/// thread, see [`plan`].
#[test]
fn rules_equal_the_store_whenever_the_server_was_killed() {
    needs!("ip", "nft", "strace");
    in_new_netns(|| {
        let mut world = World::new(0);
        let file = world.dir.path().join("trace");
        // Some calls come once in a server's life.
        change(&world, "first");
        let plan = plan(&world, &file);
        let calls: BTreeSet<&str> = plan.iter().map(|(_, call, _)| call.as_str()).collect();
        // To the kernel, to the disk.
        assert!(["sendto", "pwrite64", "fsync"].iter().all(|call| calls.contains(call)), "{calls:?}");
        let (mut kills, mut escapes) = (0, Vec::new());
        for (place, point) in plan.iter().enumerate() {
            let (thread, call, number) = point;
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let options = ["-e", &format!("trace={call}"), "-e", &inject];
            let mut strace = trace(&world, thread, &options, &file);
            let lives = change(&world, &format!("s{place}"));
            let is_killed = !lives || is_dead(&world);
            world.server.take().unwrap().kill();
            strace.wait().unwrap();
            // The calls come in another number now and then: it may not have been killed.
            if is_killed {
                kills += 1;
            } else {
                escapes.push(point);
            }
            world.start(&[]);
            world.settle();
            let found = elements();
            assert!(found.is_some(), "{point:?}");
            // The same, made anew from the objects alone.
            on_node("nft delete table inet podhosts-services");
            let made = (0..1000).find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                elements()
            });
            assert_eq!(found, made, "{point:?}");
        }
        eprintln!("{kills} kills at {} calls of {calls:?}; not killed at {escapes:?}", plan.len());
        assert!(kills > 3 * escapes.len() && kills > 30, "{kills} kills, but not at {escapes:?}");
    });
}
