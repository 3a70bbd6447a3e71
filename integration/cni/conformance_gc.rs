//! The rules of the CNI specification for GC and STATUS, which the reference plugins do not have.

use serde_json::{Value, json};

use crate::harness::cni::{Call, addresses, error_of};
use crate::harness::needs;
use crate::harness::subject::{Role, Subject, Trial, each};

fn is_ours(subject: &Subject, version: &str) -> bool {
    subject.is_ours && version == "1.1.0"
}

const KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// ADD for the eth0 of each of these pods.
fn add_all(trial: &Trial<'_>, pods: &[&str]) {
    let config = trial.config();
    for pod in pods {
        if *pod != "c1" {
            trial.node.pod(pod);
        }
        trial.call_as(&Call::new("ADD", pod, &config)).success();
    }
}

/// The pods of which an ADD has left something.
fn left(trial: &Trial<'_>) -> String {
    let files =
        "cd /run/podhosts; ls pods networks/net/attachments 2>/dev/null | grep -o '^c[0-9]' | sort -u";
    trial.node.sh(&format!("{files} | tr -d '\\n'"))
}

/// GC with these keys, as libcni calls it: without anything of one container.
fn gc(trial: &Trial<'_>, keys: &[(&str, Value)]) -> crate::harness::Run {
    let mut config = trial.config();
    config.as_object_mut().unwrap().remove("prevResult");
    for (key, value) in keys {
        config[*key] = value.clone();
    }
    trial.call_as(&Call { container: "", netns: "", ifname: "", args: "", ..Call::new("GC", "", &config) })
}

fn valid(pods: &[&str]) -> Value {
    pods.iter().map(|pod| json!({"containerID": pod, "ifname": "eth0"})).collect()
}

#[test]
fn gc_keeps_what_is_valid_under_either_key() {
    needs!("ip", "nft");
    for keys in [&KEYS[..1], &KEYS[1..], &KEYS[..]] {
        each(is_ours, |trial| {
            println!("{keys:?}");
            let clean = trial.without_pods();
            add_all(trial, &["c1", "c2", "c3"]);
            let with = |pods: &[&str]| keys.iter().map(|key| (*key, valid(pods))).collect::<Vec<_>>();
            assert_eq!(gc(trial, &with(&["c1", "c2", "c3"])).success(), "");
            assert_eq!(left(trial), "c1c2c3");
            assert_eq!(gc(trial, &with(&["c2"])).success(), "");
            assert_eq!(left(trial), "c2");
            let result = trial.call_as(&Call::new("ADD", "c3", &trial.config()));
            assert!(result.ok, "{result:?}");
            assert_eq!(gc(trial, &with(&[])).success(), "");
            assert_eq!(left(trial), "");
            trial.assert_state(&clean);
        });
    }
}

#[test]
fn gc_with_one_attachment_under_each_key_keeps_both() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        add_all(trial, &["c1", "c2", "c3"]);
        gc(trial, &[(KEYS[0], valid(&["c1"])), (KEYS[1], valid(&["c3"]))]).success();
        assert_eq!(left(trial), "c1c3");
    });
}

#[test]
fn gc_takes_null_for_an_empty_list_and_refuses_anything_else() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        let clean = trial.without_pods();
        add_all(trial, &["c1"]);
        let before = trial.state();
        for (keys, text) in [
            (
                vec![(KEYS[0], json!("c1"))],
                "cni.dev/valid-attachments: invalid type: string \"c1\", expected a sequence",
            ),
            (vec![(KEYS[0], json!({}))], "cni.dev/valid-attachments: invalid type: map, expected a sequence"),
            (vec![(KEYS[1], json!(["c1"]))], "cni.dev/attachments[0]: invalid type: string \"c1\""),
            (
                vec![(KEYS[0], json!([{"containerID": "c1"}]))],
                "cni.dev/valid-attachments[0]: missing field `ifname`",
            ),
            (
                vec![(KEYS[0], json!([{"ifname": "eth0"}]))],
                "cni.dev/valid-attachments[0]: missing field `containerID`",
            ),
            (
                vec![(KEYS[0], json!([])), (KEYS[1], json!(7))],
                "cni.dev/attachments: invalid type: integer `7`",
            ),
        ] {
            let (code, msg) = error_of(&gc(trial, &keys));
            assert!(code == 7 && msg.contains(text), "{code} {msg} lacks {text}");
        }
        trial.assert_state(&before);
        assert_eq!(gc(trial, &[(KEYS[0], Value::Null)]).success(), "");
        trial.assert_state(&clean);
    });
}

/// `cnitool gc` gives none. Somebody who forgets it takes no running pod's network away.
#[test]
fn gc_without_a_list_removes_what_has_no_network_namespace_any_more() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        assert_eq!(gc(trial, &[]).success(), "");
        add_all(trial, &["c1"]);
        let before = trial.state();
        assert_eq!(gc(trial, &[]).success(), "");
        trial.assert_state(&before);
        if trial.subject.role == Role::Main {
            // The kernel removes the interfaces of a namespace in its own time.
            trial.node.sh("ip -n c1 link del eth0; ip netns del c1");
            assert_eq!(gc(trial, &[]).success(), "");
            assert_eq!(left(trial), "");
        }
    });
}

#[test]
fn gc_of_a_network_that_was_never_used_succeeds() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        let before = trial.state();
        assert_eq!(gc(trial, &[(KEYS[0], json!([]))]).success(), "");
        trial.assert_state(&before);
    });
}

#[test]
fn gc_that_is_disabled_removes_nothing() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        add_all(trial, &["c1"]);
        let before = trial.state();
        assert_eq!(gc(trial, &[(KEYS[0], json!([])), ("disableGC", true.into())]).success(), "");
        trial.assert_state(&before);
        assert_eq!(gc(trial, &[(KEYS[0], json!([])), ("disableGC", false.into())]).success(), "");
        assert_eq!(left(trial), "");
    });
}

#[test]
fn gc_leaves_other_networks_alone() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        add_all(trial, &["c1"]);
        let before = trial.state();
        assert_eq!(gc(trial, &[(KEYS[0], json!([])), ("name", "other".into())]).success(), "");
        trial.assert_state(&before);
    });
}

fn status(trial: &Trial<'_>, config: &Value) -> crate::harness::Run {
    trial.call_as(&Call { container: "", netns: "", ifname: "", args: "", ..Call::new("STATUS", "", config) })
}

#[test]
fn status_is_well_and_leaves_pods_as_they_are() {
    needs!("ip", "nft");
    each(is_ours, |trial| {
        assert_eq!(status(trial, &trial.config()).success(), "");
        add_all(trial, &["c1"]);
        let before = trial.state();
        assert_eq!(status(trial, &trial.config()).success(), "");
        trial.assert_state(&before);
    });
}

#[test]
fn status_tells_that_a_family_is_exhausted() {
    needs!("ip", "nft");
    let [v4, v6] = ["10.244.1.0/30", "2001:db8:1::/126"];
    let [large_v4, large_v6] = ["10.244.1.0/24", "2001:db8:1::/64"];
    // An IPv6 subnet of that size has one address more: there is no broadcast.
    for (ranges, pods, text) in [
        ([v4, large_v6], 1, "no IPv4 addresses available in range set: 10.244.1.1-10.244.1.2"),
        ([large_v4, v6], 2, "no IPv6 addresses available in range set: 2001:db8:1::1-2001:db8:1::3"),
    ] {
        each(
            |subject, version| is_ours(subject, version) && subject.role != Role::Chained,
            |trial| {
                let mut config = trial.config();
                config["ipam"] =
                    json!({"type": "podhosts-cni", "ranges": ranges.map(|cidr| [json!({"subnet": cidr})])});
                let pods = &["c1", "c2"][..pods];
                for pod in pods {
                    assert_eq!(status(trial, &config).success(), "");
                    if *pod != "c1" {
                        trial.node.pod(pod);
                    }
                    trial.call_as(&Call::new("ADD", pod, &config)).success();
                }
                let before = trial.state();
                assert_eq!(error_of(&status(trial, &config)), (50, text.to_owned()));
                trial.node.pod("c9");
                let (code, msg) = error_of(&trial.call_as(&Call::new("ADD", "c9", &config)));
                assert!(code == 11 && msg.contains("no IP addresses available"), "{code} {msg}");
                trial.assert_state(&before);
                trial.call_as(&Call::new("DEL", pods[0], &config)).success();
                assert_eq!(status(trial, &config).success(), "");
            },
        );
    }
}

#[test]
fn a_range_that_is_added_serves_the_next_pod() {
    needs!("ip", "nft");
    each(
        |subject, version| is_ours(subject, version) && subject.name == "routed",
        |trial| {
            let with = |cidrs: &[&str]| {
                let mut config = trial.config();
                config["ipam"] = json!({"podCIDRs": cidrs});
                config
            };
            let small = with(&["10.244.1.0/30"]);
            trial.node.pod("c2");
            assert_eq!(addresses(&trial.node.add("c1", &small)), ["10.244.1.2"]);
            assert_eq!(error_of(&status(trial, &small)).0, 50);
            let wider = with(&["10.244.1.0/30", "10.245.0.0/24"]);
            assert_eq!(status(trial, &wider).success(), "");
            assert_eq!(addresses(&trial.node.add("c2", &wider)), ["10.245.0.2"]);
            trial.node.del("c1", &wider);
            assert_eq!(error_of(&status(trial, &with(&["10.245.0.0/30"]))).0, 50);
        },
    );
}
