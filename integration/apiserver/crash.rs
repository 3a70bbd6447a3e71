//! kill -9 of the API server while many clients create Services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api_client::Client;
use crate::harness::needs;
use crate::harness::serve::Server;

const CLIENTS: usize = 16;
const KILLS: usize = 20;
const SERVICES: &str = "/api/v1/namespaces/default/services";
const FLAGS: [&str; 1] = ["--service-cluster-ip-range=10.96.0.0/16,2001:db8:fd00::/112"];

/// How many Services are created. Programs that are not optimized are several times slower, and nothing else changes.
fn count() -> usize {
    if std::env::var_os("PODHOSTS_BIN_DIR").is_some() { 10_000 } else { 2_000 }
}

/// What clients and killer share.
#[derive(Default)]
struct State {
    /// None while there is no server that may be used.
    server: Option<Server>,
    generation: usize,
    /// The number of the next Service.
    next: usize,
    /// What was acknowledged: the whole Service by its name.
    acknowledged: BTreeMap<String, Value>,
    /// Names of which nobody knows whether they are stored.
    open: BTreeSet<String>,
    /// Resource versions that were given out before the last kill are not above this.
    version: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// Waits until the state is as wanted, and changes it.
    fn when<T>(&self, mut wanted: impl FnMut(&mut State) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(value) = wanted(&mut state) {
                self.changed.notify_all();
                return value;
            }
            assert!(Instant::now() < deadline, "nothing goes on");
            state = self.changed.wait_timeout(state, Duration::from_secs(5)).unwrap().0;
        }
    }
}

/// A Service: half of them with two families, some with a node port.
fn service(number: usize) -> Value {
    let policy = if number.is_multiple_of(2) { "PreferDualStack" } else { "SingleStack" };
    let kind = if number.is_multiple_of(8) { "NodePort" } else { "ClusterIP" };
    json!({"metadata": {"name": format!("s{number}"), "labels": {"app": "crash"}},
        "spec": {"type": kind, "ipFamilyPolicy": policy, "ports": [{"port": 80}]}})
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Creates Services until there are as many as there should be. One whose answer was lost is created again.
fn create(shared: &Shared) {
    let (mut client, mut generation) = (None, 0);
    let mut pending: Option<usize> = None;
    loop {
        let number = shared.when(|state| {
            let server = state.server.as_ref()?;
            if client.is_none() || generation != state.generation {
                generation = state.generation;
                client = Some(Client::new(server));
            }
            let number = pending.take().unwrap_or_else(|| {
                state.next += 1;
                state.next - 1
            });
            if number < count() {
                state.open.insert(format!("s{number}"));
            }
            Some(number)
        });
        if number >= count() {
            return;
        }
        let connection = client.as_mut().unwrap();
        let mut answer = connection.ask("POST", SERVICES, &service(number).to_string());
        let is_there = |(code, status): &(u16, Value)| *code == 409 && status["reason"] == "AlreadyExists";
        let was_lost = answer.as_ref().is_some_and(is_there);
        if was_lost {
            // Its answer was lost, but it was stored.
            answer = connection.ask("GET", &format!("{SERVICES}/s{number}"), "");
        }
        let mut state = shared.state.lock().unwrap();
        match answer {
            Some((200 | 201, stored)) => {
                // Versions go on where they were at the last kill. This answer may be from before it.
                assert!(was_lost || version_of(&stored) > state.version || generation != state.generation);
                state.open.remove(&format!("s{number}"));
                state.acknowledged.insert(name_of(&stored), stored);
            }
            Some(other) => panic!("s{number}: {other:?}"),
            None => {
                (client, pending) = (None, Some(number));
            }
        }
        shared.changed.notify_all();
    }
}

fn list(client: &mut Client, path: &str) -> (u64, Vec<Value>) {
    let (code, mut list) = client.ask("GET", path, "").unwrap();
    assert_eq!(code, 200, "{list}");
    let Value::Array(items) = list["items"].take() else { panic!("{list}") };
    (version_of(&list), items)
}

fn strings(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned())
}

/// Everything that has to be true of a server that nobody changes; its resource version.
fn check(server: &Server, state: &State) -> u64 {
    let mut client = Client::new(server);
    let (version, services) = list(&mut client, "/api/v1/services");
    let (later, addresses) = list(&mut client, "/apis/networking.k8s.io/v1/ipaddresses");
    assert_eq!(version, later);
    let latest = state.acknowledged.values().map(version_of).max().unwrap_or(0).max(state.version);
    assert!(version >= latest, "version {version} after {latest}");

    let (mut owners, mut ports) = (BTreeMap::new(), BTreeSet::new());
    let mut found = BTreeMap::new();
    for service in services {
        assert!(version_of(&service) <= version);
        for address in strings(&service["spec"]["clusterIPs"]) {
            let other = owners.insert(address.clone(), name_of(&service));
            assert_eq!(other, None, "{address} has two owners, one is {service}");
        }
        for port in service["spec"]["ports"].as_array().unwrap() {
            assert!(port["nodePort"].is_null() || ports.insert(port["nodePort"].as_u64()), "{service}");
        }
        found.insert(name_of(&service), service);
    }
    let parent = |address: &Value| address["spec"]["parentRef"]["name"].as_str().unwrap().to_owned();
    let kept: BTreeMap<String, String> =
        addresses.iter().map(|address| (name_of(address), parent(address))).collect();
    assert!(kept == owners, "IPAddresses are not those of the Services: {:?}", difference(&kept, &owners));

    for (name, service) in &state.acknowledged {
        assert_eq!(found.get(name), Some(service), "{name} was acknowledged");
    }
    for name in found.keys().filter(|name| name.starts_with('s')) {
        let number: usize = name[1..].parse().unwrap();
        assert!(number < state.next, "{name} was never asked for");
    }
    version
}

fn difference(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    one.iter()
        .chain(other)
        .filter(|(key, value)| one.get(*key) != Some(value) || other.get(*key) != Some(value))
        .map(|(key, value)| format!("{key} of {value}"))
        .collect()
}

/// Kills the server each time another part of the Services was acknowledged, and looks at what the next one has.
fn kill_and_look(shared: &Shared, dir: &Path) {
    let mut interrupted = 0;
    for kill in 1..=KILLS {
        let enough = kill * count() / (KILLS + 1);
        let server =
            shared.when(|state| if state.acknowledged.len() < enough { None } else { state.server.take() });
        server.kill();
        // An answer that is already here counts: whoever reads it has to tell before the look.
        let server = Server::start_in(dir, &FLAGS);
        let mut state = shared.state.lock().unwrap();
        interrupted += usize::from(!state.open.is_empty());
        state.version = check(&server, &state);
        state.generation += 1;
        state.server = Some(server);
        shared.changed.notify_all();
    }
    assert!(interrupted > KILLS / 2, "only {interrupted} of {KILLS} kills met a request");
}

#[test]
fn nothing_is_lost_doubled_or_leaked_when_the_server_is_killed() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let state = State { server: Some(Server::start_in(dir.path(), &FLAGS)), ..State::default() };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| create(&shared));
        }
        kill_and_look(&shared, dir.path());
    });
    let mut state = shared.state.into_inner().unwrap();
    let server = state.server.take().unwrap();
    state.version = check(&server, &state);
    let mut client = Client::new(&server);
    let (_, services) = list(&mut client, SERVICES);
    assert_eq!(services.len(), count() + 1, "and the Service kubernetes");

    // All goes, with its addresses.
    let (code, gone) = client.ask("DELETE", &format!("{SERVICES}?labelSelector=app%3Dcrash"), "").unwrap();
    assert_eq!(code, 200, "{gone}");
    server.kill();
    let server = Server::start_in(dir.path(), &FLAGS);
    let none = State { version: state.version + 1, ..State::default() };
    check(&server, &none);
    let (_, addresses) = list(&mut Client::new(&server), "/apis/networking.k8s.io/v1/ipaddresses");
    let names: Vec<String> = addresses.iter().map(name_of).collect();
    assert_eq!(names, ["10.96.0.1"]);
}
