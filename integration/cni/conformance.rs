//! The rules of the CNI specification for what comes before a command is carried out: versions, variables, input.
//! `harness/subject.rs` says on what they are tried.

use serde_json::{Value, json};

use crate::harness::cni::{Call, error_of};
use crate::harness::subject::{Role, Subject, Trial, VERSIONS, each};
use crate::harness::{Run, bin, needs};

/// The commands that a version has.
fn commands(version: &str) -> Vec<&'static str> {
    let all = [("ADD", "0.3.0"), ("DEL", "0.3.0"), ("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")];
    all.into_iter().filter(|(_, since)| version >= *since).map(|(command, _)| command).collect()
}

/// Sees that a call is refused with `code`, in a message that has `text`.
#[track_caller]
fn refused(run: &Run, code: u64, text: &str) {
    let (answered, msg) = error_of(run);
    assert_eq!(answered, code, "{run:?}");
    assert!(msg.contains(text), "{msg} lacks {text}");
}

/// Tries `rule`, of which nothing must change anything, as [`each`] does.
fn each_refusal(applies: impl Fn(&Subject, &str) -> bool, rule: impl Fn(&Trial<'_>)) {
    each(applies, |trial| {
        let before = trial.state();
        rule(trial);
        trial.assert_state(&before);
    });
}

#[test]
fn version_tells_the_supported_versions_whatever_the_input() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |_, version| version == "1.0.0",
        |trial| {
            for stdin in [r#"{"cniVersion":"1.0.0"}"#, r#"{"cniVersion":"9.9.9"}"#, "", "nonsense"] {
                let answer: Value =
                    serde_json::from_str(&trial.call_raw("VERSION", "CNI_NETNS", stdin).success()).unwrap();
                let supported: Vec<&str> = answer["supportedVersions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap())
                    .collect();
                assert!(VERSIONS[..4].iter().all(|version| supported.contains(version)), "{answer}");
                assert_eq!(answer["cniVersion"], **supported.last().unwrap());
                if trial.subject.is_ours {
                    assert_eq!(supported, VERSIONS);
                }
            }
        },
    );
}

#[test]
fn without_a_command_there_is_text_for_people_and_success() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |_, version| version == "1.0.0",
        |trial| {
            for run in [trial.call_raw("ADD", "CNI_COMMAND", ""), trial.call_raw("", "CNI_NETNS", "{")] {
                assert!(run.ok && run.stdout.is_empty() && run.stderr.contains("1.0.0"), "{run:?}");
            }
        },
    );
}

#[test]
fn an_unknown_command_is_refused_by_name() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| matches!(version, "0.3.0" | "1.0.0"),
        |trial| {
            for command in ["FROB", "add", "UPDATE"] {
                let run = trial.call(command, &trial.config());
                refused(&run, 4, &format!("unknown CNI_COMMAND: {command}"));
            }
        },
    );
}

#[test]
fn missing_variables_are_named() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| version == "1.0.0",
        |trial| {
            let config = trial.config().to_string();
            for (command, variable) in [
                ("ADD", "CNI_CONTAINERID"),
                ("ADD", "CNI_NETNS"),
                ("ADD", "CNI_IFNAME"),
                ("CHECK", "CNI_CONTAINERID"),
                ("CHECK", "CNI_NETNS"),
                ("CHECK", "CNI_IFNAME"),
                ("DEL", "CNI_CONTAINERID"),
                ("DEL", "CNI_IFNAME"),
            ] {
                let run = trial.call_raw(command, variable, &config);
                refused(&run, 4, &format!("required env variables [{variable}] missing"));
            }
        },
    );
}

#[test]
fn invalid_variables_are_refused_with_what_they_hold() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| version == "1.0.0",
        |trial| {
            let config = trial.config();
            for command in ["ADD", "DEL", "CHECK"] {
                for container in ["../x", "a/b", ".x", "a b"] {
                    let call = Call { container, netns: "c1", ..Call::new(command, "c1", &config) };
                    refused(&trial.call_as(&call), 4, "");
                }
                for ifname in ["a/b", "a:b", "a b", ".", "..", "sixteen-bytes-xx"] {
                    let call = Call { ifname, ..Call::new(command, "c1", &config) };
                    refused(&trial.call_as(&call), 4, "");
                }
            }
        },
    );
}

#[test]
fn a_version_that_is_not_supported_is_refused_with_those_that_are() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| version == "1.0.0",
        |trial| {
            for version in ["9.9.9", "1.0", "v1.0.0", "1.0.0 "] {
                for command in ["ADD", "DEL"] {
                    let mut config = trial.config();
                    config["cniVersion"] = version.into();
                    let run = trial.call(command, &config);
                    refused(&run, 1, "incompatible CNI versions");
                    let error: Value = serde_json::from_str(&run.stdout).unwrap();
                    let details = error["details"].as_str().unwrap();
                    assert!(details.contains(version) && details.contains("\"0.4.0\""), "{details}");
                }
            }
        },
    );
}

#[test]
fn a_command_that_the_version_does_not_have_is_refused() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, _| true,
        |trial| {
            let mut config = trial.config();
            config["cni.dev/valid-attachments"] = json!([]);
            let tested: &[&str] = if trial.subject.is_ours { &["CHECK", "GC", "STATUS"] } else { &["CHECK"] };
            for command in tested.iter().filter(|command| !commands(trial.version).contains(command)) {
                let text = format!("does not allow {command}");
                refused(&trial.call(command, &config), 1, &text);
            }
        },
    );
}

#[test]
fn input_that_is_no_json_object_is_refused() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| matches!(version, "0.4.0" | "1.1.0"),
        |trial| {
            let known = if trial.subject.is_ours { commands(trial.version) } else { commands("0.4.0") };
            for command in known {
                for stdin in ["", "nonsense", "{", "[]", "1", "\"text\"", r#"{"name": "net"} x"#] {
                    let run = trial.call_raw(command, "CNI_NONE", stdin);
                    refused(&run, 6, "");
                }
            }
        },
    );
}

#[test]
fn a_network_without_a_valid_name_is_refused() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each_refusal(
        |_, version| matches!(version, "0.3.0" | "1.1.0"),
        |trial| {
            let known = if trial.subject.is_ours { commands(trial.version) } else { vec!["ADD", "DEL"] };
            for command in known {
                for (name, text) in [
                    (Value::Null, "missing network name"),
                    (json!(""), "missing network name"),
                    (json!("../x"), "name"),
                    (json!("a/b"), "name"),
                    (json!(".hidden"), "name"),
                    (json!("a b"), "name"),
                ] {
                    let mut config = trial.config();
                    config["name"] = name;
                    config["cni.dev/valid-attachments"] = json!([]);
                    refused(&trial.call(command, &config), 7, text);
                }
            }
        },
    );
}

#[test]
fn the_nodes_own_namespace_is_refused_unless_it_is_meant() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, _| subject.is_ours && subject.role == Role::Main,
        |trial| {
            let (before, config) = (trial.without_pods(), trial.config());
            let call = Call { netns: "/proc/self/ns/net", ..Call::new("ADD", "c2", &config) };
            refused(&trial.call_as(&call), 8, "CNI_NETNS");
            // A bridge's gateway would be the namespace's own address.
            if trial.subject.name == "bridged" {
                return;
            }
            let meant = |command: &str, config: &Value| {
                let call = Call { command, config, ..call.clone() };
                let mut command = trial.node.plugin_command(&bin("podhosts-cni"), &call);
                command.env("CNI_NETNS_OVERRIDE", "1");
                trial.node.pipe(command, config.to_string().as_bytes()).success()
            };
            let result: Value = serde_json::from_str(&meant("ADD", &config)).unwrap();
            let address = result["ips"][0]["address"].as_str().unwrap();
            assert!(trial.node.sh("ip -o addr show dev eth0").contains(address));
            if trial.version >= "0.4.0" {
                assert_eq!(meant("CHECK", &trial.after(&result)), "");
            }
            assert_eq!(meant("DEL", &trial.after(&result)), "");
            trial.assert_state(&before);
        },
    );
}
