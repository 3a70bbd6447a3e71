//! ServiceCIDRs and IPAddresses against what a Kubernetes 1.36 API server answered.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::kinds::testing::{CIDRS, Cluster, IPS, SERVICES, lines, none_differs};
use crate::object::Object;
use crate::status::ApiError;

const TABLE: &str = include_str!("../../../../../integration/vectors/services/service-cidrs.jsonl");
const DUAL: &str = "10.96.0.0/28,2001:db8:fd00::/112";

fn create(cluster: &mut Cluster, name: &str, cidrs: &Value) -> Result<Object, ApiError> {
    cluster.create(CIDRS, name, json!({"spec": {"cidrs": cidrs}}))
}

fn ready(cluster: &Cluster, name: &str) -> Value {
    cluster.get(CIDRS, name).unwrap().0["status"]["conditions"][0].clone()
}

/// What a line asks for.
fn answer(cluster: &mut Cluster, line: &Value) -> Result<Option<Object>, ApiError> {
    let text = |key: &str| line[key].as_str().unwrap();
    let name = text("name");
    let made = match text("do") {
        "create" => {
            let made = create(cluster, name, &line["cidrs"]);
            // The recording created these in turn under one name.
            if name != "up" {
                cluster.store.objects.retain(|(_, _, own), _| own != name || own == "kubernetes");
            }
            made
        }
        "patch" => cluster.patch(CIDRS, name, &line["patch"]),
        "delete" => cluster.delete(CIDRS, name),
        "get" => Ok(cluster.get(CIDRS, name).unwrap()),
        "delete dry" => {
            cluster.store.dry_run = true;
            let gone = cluster.delete(CIDRS, name);
            cluster.store.dry_run = false;
            gone
        }
        "create ip" => cluster.create(IPS, name, json!({"spec": line["spec"]})),
        "patch ip" => cluster.patch(IPS, name, &line["patch"]),
        "delete ip" => cluster.delete(IPS, name),
        "create svc" => {
            cluster.service(name, json!({"ports": [{"port": 80}], "clusterIP": line["clusterIP"]}))
        }
        "delete svc, get ip" => {
            cluster.delete(SERVICES, name).unwrap();
            return Ok(cluster.get(IPS, text("ip")));
        }
        other => panic!("{other}"),
    };
    made.map(Some)
}

#[test]
fn the_recorded_table() {
    let mut cluster = Cluster::new(DUAL);
    let mut differences = Vec::new();
    let lines = lines(TABLE);
    assert_eq!(lines.len(), 69);
    for line in &lines {
        let code = line["code"].as_u64().unwrap();
        let fits = match answer(&mut cluster, line) {
            Ok(Some(object)) => {
                let cidrs = line.get("cidrs").is_none_or(|cidrs| object.spec()["cidrs"] == *cidrs);
                (code < 300 && cidrs, object.into_value().to_string())
            }
            Ok(None) => (code == 404, "nothing".to_owned()),
            Err(error) => {
                let is_so = u64::from(error.code) == code && error.message == line["message"];
                (is_so, format!("{} {}", error.code, error.message))
            }
        };
        if !fits.0 {
            differences.push(format!("{line}\n  found {}", fits.1));
        }
    }
    none_differs(&differences);
}

#[test]
fn the_default_one_and_its_service_come_by_themselves() {
    let mut cluster = Cluster::new("10.96.0.0/28");
    let own = cluster.get(CIDRS, "kubernetes").unwrap();
    assert_eq!(own.spec()["cidrs"], json!(["10.96.0.0/28"]));
    assert_eq!(own.finalizers(), ["networking.k8s.io/service-cidr-finalizer"]);
    assert_eq!(ready(&cluster, "kubernetes")["message"], "Kubernetes Service CIDR is ready");
    assert_eq!(ready(&cluster, "kubernetes")["reason"], "");
    assert_eq!(cluster.cells(CIDRS, "kubernetes"), ["kubernetes", "10.96.0.0/28", "0s"].map(Value::from));
    let service = cluster.cells(SERVICES, "kubernetes");
    let shown = ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP", "0s", "<none>"];
    assert_eq!(service, shown.map(Value::from));
    let cells = cluster.cells(IPS, "10.96.0.1");
    assert_eq!(cells, ["10.96.0.1", "services/default/kubernetes"].map(Value::from));
    let labels: Vec<(String, String)> = cluster
        .get(IPS, "10.96.0.1")
        .unwrap()
        .labels()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(labels[0], ("ipaddress.kubernetes.io/ip-family".to_owned(), "IPv4".to_owned()));
    assert_eq!(labels[1], ("ipaddress.kubernetes.io/managed-by".to_owned(), "ipallocator.k8s.io".to_owned()));
    // A dual-stack command line makes the same object dual-stack.
    cluster = cluster.restart(DUAL);
    let dual = cluster.get(CIDRS, "kubernetes").unwrap();
    assert_eq!(dual.spec()["cidrs"], json!(["10.96.0.0/28", "2001:db8:fd00::/112"]));
    assert_eq!(dual.uid(), own.uid());
    cluster = cluster.restart("10.97.0.0/16");
    assert_eq!(cluster.get(CIDRS, "kubernetes").unwrap(), dual);
}

/// The page "Extend Service IP Ranges".
#[test]
fn a_range_runs_full_and_a_second_one_helps() {
    let mut cluster = Cluster::new("10.96.0.0/28");
    let spec = || json!({"ports": [{"port": 80}]});
    for index in 1..=13 {
        cluster.service(&format!("test-{index}"), spec()).unwrap();
    }
    let full = cluster.service("test-14", spec()).unwrap_err();
    let message =
        "Internal error occurred: failed to allocate a serviceIP for Service \"test-14\": range is full";
    assert_eq!((full.code, full.message.as_str()), (500, message));
    create(&mut cluster, "newcidr1", &json!(["10.96.0.0/24"])).unwrap();
    cluster.service("test-14", spec()).unwrap();
    // Deleting it has to wait for the Service that needs it.
    cluster.delete(CIDRS, "newcidr1").unwrap();
    let condition = ready(&cluster, "newcidr1");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("Terminating")));
    let message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    assert_eq!(condition["message"], message);
    assert_eq!(cluster.wake, None);
    let version = cluster.get(CIDRS, "newcidr1").unwrap().resource_version();
    cluster.wait(60);
    assert_eq!(cluster.get(CIDRS, "newcidr1").unwrap().resource_version(), version);
    // It assigns no more addresses.
    assert!(cluster.service("test-15", spec()).unwrap_err().message.ends_with("range is full"));
    cluster.delete(SERVICES, "test-14").unwrap();
    cluster.wait(1);
    assert_eq!(cluster.get(CIDRS, "newcidr1"), None);
}

#[test]
fn one_that_nobody_needs_goes_after_its_grace() {
    let mut cluster = Cluster::new(DUAL);
    create(&mut cluster, "a", &json!(["10.98.0.0/24"])).unwrap();
    // An IPAddress made by hand, without a Service.
    let by_hand = json!({"spec": {"parentRef": {"resource": "services", "name": "x"}}});
    cluster.create(IPS, "10.98.0.7", by_hand).unwrap();
    cluster.delete(CIDRS, "a").unwrap();
    assert_eq!(cluster.wake, Some(cluster.store.now + 10));
    assert_eq!(ready(&cluster, "a")["status"], "True");
    cluster.wait(9);
    assert!(cluster.get(CIDRS, "a").is_some());
    cluster.wait(1);
    assert_eq!((cluster.get(CIDRS, "a"), cluster.wake), (None, None));
    assert!(cluster.get(IPS, "10.98.0.7").is_some());
    // It is not made again, as its Service does not exist.
    cluster.delete(IPS, "10.98.0.7").unwrap();
    assert_eq!(cluster.get(IPS, "10.98.0.7"), None);
}

#[test]
fn a_wider_one_lets_the_default_one_go_and_it_comes_back() {
    let mut cluster = Cluster::new("10.96.0.0/28");
    let uid = cluster.get(CIDRS, "kubernetes").unwrap().uid().to_owned();
    cluster.delete(CIDRS, "kubernetes").unwrap();
    cluster.wait(60);
    assert_eq!(ready(&cluster, "kubernetes")["reason"], "Terminating");
    create(&mut cluster, "wide", &json!(["10.96.0.0/16"])).unwrap();
    let again = cluster.get(CIDRS, "kubernetes").unwrap();
    assert!(again.uid() != uid && !again.is_being_deleted());
    // Two ServiceCIDRs being deleted do not hold each other's addresses.
    cluster.service("s", json!({"ports": [{"port": 80}], "clusterIP": "10.96.1.1"})).unwrap();
    create(&mut cluster, "also", &json!(["10.96.1.0/24"])).unwrap();
    cluster.delete(CIDRS, "wide").unwrap();
    cluster.delete(CIDRS, "also").unwrap();
    cluster.wait(60);
    for name in ["wide", "also"] {
        assert_eq!(ready(&cluster, name)["reason"], "Terminating", "{name}");
    }
    cluster.delete(SERVICES, "s").unwrap();
    assert_eq!(cluster.names(CIDRS), ["kubernetes"]);
}

#[test]
fn somebody_elses_finalizer_is_left_to_them() {
    let mut cluster = Cluster::new(DUAL);
    create(&mut cluster, "a", &json!(["10.98.0.0/24"])).unwrap();
    cluster.patch(CIDRS, "a", &json!({"metadata": {"finalizers": ["example.com/mine"]}})).unwrap();
    assert_eq!(cluster.get(CIDRS, "a").unwrap().finalizers().len(), 2);
    cluster.delete(CIDRS, "a").unwrap();
    cluster.wait(10);
    assert_eq!(cluster.get(CIDRS, "a").unwrap().finalizers(), ["example.com/mine"]);
    cluster.wait(10);
    cluster.patch(CIDRS, "a", &json!({"metadata": {"finalizers": null}})).unwrap();
    assert_eq!(cluster.get(CIDRS, "a"), None);
}

#[test]
fn one_that_can_never_give_an_address_says_so_and_is_not_used() {
    let mut cluster = Cluster::new(DUAL);
    for (name, cidr, why) in [
        ("wide", "2001:db8:4800::/48", "an IPv6 network needs a prefix length of 64 or more"),
        ("small", "10.9.0.0/31", "it is too small to have an address for a Service"),
        ("loopback", "127.0.0.0/8", "it has loopback addresses"),
        ("multicast", "224.0.0.0/24", "it has multicast addresses"),
        ("linklocal", "fe80::/64", "it has link-local addresses"),
    ] {
        create(&mut cluster, name, &json!([cidr])).unwrap();
        let condition = ready(&cluster, name);
        assert_eq!(
            (&condition["status"], &condition["reason"]),
            (&json!("False"), &json!("Unusable")),
            "{name}"
        );
        assert_eq!(condition["message"], format!("{cidr} cannot be used: {why}"));
    }
    // One usable network is enough.
    create(&mut cluster, "half", &json!(["10.201.0.0/28", "2001:db8:4801::/48"])).unwrap();
    let condition = ready(&cluster, "half");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Unusable")));
    assert_eq!(
        condition["message"],
        "Kubernetes Service CIDR is ready; 2001:db8:4801::/48 cannot be used: an IPv6 network needs a prefix length of 64 or more"
    );
    cluster.service("half", json!({"ports": [{"port": 80}], "clusterIP": "10.201.0.9"})).unwrap();
    let asked = json!({"ports": [{"port": 80}], "clusterIP": "127.0.0.9"});
    let error = cluster.service("s", asked).unwrap_err().message;
    assert!(error.ends_with("the provided network does not match the current range"), "{error}");
}

#[test]
fn the_edges_of_a_network_are_given_by_a_wider_one() {
    let mut cluster = Cluster::new(DUAL);
    create(&mut cluster, "a", &json!(["10.201.0.0/30"])).unwrap();
    let ask = |name: &str, cluster: &mut Cluster| {
        cluster.service(name, json!({"ports": [{"port": 80}], "clusterIP": "10.201.0.3"}))
    };
    let error = ask("s", &mut cluster).unwrap_err().message;
    assert!(error.ends_with("the provided network does not match the current range"), "{error}");
    create(&mut cluster, "b", &json!(["10.201.0.0/29"])).unwrap();
    ask("s", &mut cluster).unwrap();
}

#[test]
fn addresses_come_from_the_upper_band_first() {
    let mut cluster = Cluster::new("10.96.0.0/24");
    let mut last = Vec::new();
    for index in 0..253 {
        let made = cluster.service(&format!("s{index}"), json!({"ports": [{"port": 80}]})).unwrap();
        let ip: std::net::Ipv4Addr = made.spec()["clusterIP"].as_str().unwrap().parse().unwrap();
        last.push(ip.octets()[3]);
    }
    // 16 addresses are kept for Services that name theirs.
    assert!(last[..238].iter().all(|last| *last >= 17), "{last:?}");
    assert!(last[238..].iter().all(|last| *last < 17), "{last:?}");
    assert_ne!(last[0] + 1, last[1], "not from a random start");
    let error = cluster.service("s", json!({"ports": [{"port": 80}]})).unwrap_err();
    assert!(error.message.ends_with("range is full"));
}

#[test]
fn nothing_lists_the_addresses_or_the_services() {
    let mut cluster = Cluster::new(DUAL);
    create(&mut cluster, "a", &json!(["10.98.0.0/24"])).unwrap();
    cluster.store.lists.clear();
    cluster.service("s", json!({"ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"})).unwrap();
    cluster.patch(SERVICES, "s", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    cluster.delete(CIDRS, "a").unwrap();
    cluster.wait(10);
    cluster.delete(SERVICES, "s").unwrap();
    let listed: Vec<&Kind> = cluster.store.lists.keys().copied().collect();
    assert_eq!(listed, [CIDRS]);
    // Where none is being deleted they are read for the allocation alone.
    cluster.store.lists.clear();
    cluster.service("t", json!({"ports": [{"port": 80}]})).unwrap();
    cluster.patch(SERVICES, "t", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    assert_eq!(cluster.store.lists.get(CIDRS), Some(&1));
}

#[test]
fn the_address_of_a_service_that_lives_comes_back() {
    let mut cluster = Cluster::new(DUAL);
    let made = cluster.service("s", json!({"ports": [{"port": 80}]})).unwrap();
    let ip = made.spec()["clusterIP"].as_str().unwrap().to_owned();
    let before = cluster.get(IPS, &ip).unwrap();
    cluster.delete(IPS, &ip).unwrap();
    let again = cluster.get(IPS, &ip).unwrap();
    assert_ne!(again.uid(), before.uid());
    assert_eq!(
        (again.spec(), again.metadata().get("labels")),
        (before.spec(), before.metadata().get("labels"))
    );
    // Its labels stay, too.
    cluster.patch(IPS, &ip, &json!({"metadata": {"labels": null}})).unwrap();
    assert_eq!(cluster.get(IPS, &ip).unwrap().metadata().get("labels"), before.metadata().get("labels"));
    cluster.delete(SERVICES, "s").unwrap();
    assert_eq!(cluster.get(IPS, &ip), None);
}

#[test]
fn what_an_address_belongs_to_is_checked() {
    let mut cluster = Cluster::new(DUAL);
    let parent = json!({"group": "A", "resource": "a/b", "name": "..", "namespace": "50%"});
    let error = cluster.create(IPS, "10.0.0.1", json!({"spec": {"parentRef": parent}})).unwrap_err().message;
    for part in [
        "spec.parentRef.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain",
        "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
        "spec.parentRef.name: Invalid value: \"..\": may not be '..'",
        "spec.parentRef.namespace: Invalid value: \"50%\": may not contain '%'",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let parent = json!({"group": "apps", "resource": "deployments", "namespace": "d", "name": "x"});
    cluster.create(IPS, "10.0.0.1", json!({"spec": {"parentRef": parent}})).unwrap();
    assert_eq!(cluster.cells(IPS, "10.0.0.1")[1], "apps/deployments/d/x");
    cluster.delete(IPS, "10.0.0.1").unwrap();
    assert_eq!(cluster.get(IPS, "10.0.0.1"), None);
}

#[test]
fn a_second_network_has_to_be_a_good_one() {
    let mut cluster = Cluster::new("10.96.0.0/28");
    create(&mut cluster, "a", &json!(["10.98.0.0/24"])).unwrap();
    let add = |cidr: &str| json!({"spec": {"cidrs": ["10.98.0.0/24", cidr]}});
    let error = cluster.patch(CIDRS, "a", &add("2001:DB8::/64")).unwrap_err().message;
    assert!(error.ends_with("must be in canonical form (\"2001:db8::/64\")"), "{error}");
    assert!(cluster.patch(CIDRS, "a", &add("10.99.0.0/24")).is_err());
    cluster.patch(CIDRS, "a", &add("2001:db8::/64")).unwrap();
    assert_eq!(ready(&cluster, "a")["status"], "True");
}
