//! What the hook and the wrapper read.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use container::bundle::Config;
use container::downward_api;
use container::identity::PodIdentity;
use container::node_config::NodeConfig;
use container::state::State;
use pod::annotations::Annotations;
use pod::annotations::PodAnnotations;
use pod::host_aliases::HostAlias;
use pod::host_name::{NameFields, Naming};
use pod::hosts_file;
use pod::kubelet_file::KubeletFile;
use pod::validation::ip::IpRules;
use pod::{Network, Pod};
use podhosts_runtime::argv::{self, Invocation};
use podhosts_runtime::inject::{self, Changes};
use records::record::{PodRecord, id_of, path};
use serde_json::Value;

use super::text;

pub(super) fn state(data: &[u8]) {
    if let Ok(state) = State::parse(data) {
        assert!(state.pid > 1 && state.bundle.is_absolute() && !state.id.is_empty());
    }
}

/// What the wrapper makes of config.json has the hook, is JSON, has everything else unchanged, and is not edited again.
pub(super) fn config(data: &[u8]) {
    if let Ok(config) = Config::parse(data) {
        let _ = (PodIdentity::read(&config, "node1"), config.network_namespace(), config.mounts_proc());
        let annotations = PodAnnotations::new(config.annotations(), None);
        let _ = (annotations.any(), annotations.opted_out());
    }
    let args = ["podhosts-hook", "--name", "pod"].map(str::to_owned);
    let hook = || inject::hook("/usr/bin/podhosts-hook", args.to_vec(), 10);
    let env = ["POD_IP=10.0.0.1".to_owned(), "TEXT=a\"b\\c\n".to_owned()];
    for removed in [&[][..], &[0], &[0, 1], &[1, 3]] {
        let changes = Changes { hook: Some(hook()), removed_mounts: removed, env: &env };
        let Ok(Some(edited)) = inject::inject(data, &changes) else { continue };
        // A number that is too large for this reader stays as it is, too, but cannot be compared.
        let Ok(before) = serde_json::from_slice::<Value>(data) else { continue };
        let after: Value = serde_json::from_slice(&edited).expect("is JSON still");
        unchanged(&before, &after, removed);
        let hooks = after["hooks"]["createRuntime"].as_array().expect("has hooks");
        assert_eq!(
            hooks.iter().filter(|entry| entry["path"] == "/usr/bin/podhosts-hook").count(),
            1,
            "the hook, once"
        );
        let again = Changes { hook: Some(hook()), removed_mounts: &[], env: &env };
        assert!(matches!(inject::inject(&edited, &again), Ok(None)), "edited twice");
    }
}

fn unchanged(before: &Value, after: &Value, removed: &[usize]) {
    let (before, after) = (before.as_object().expect("an object"), after.as_object().expect("an object"));
    for (key, value) in before {
        match key.as_str() {
            "mounts" => {
                let mut kept = value.as_array().cloned().unwrap_or_default();
                for index in removed.iter().rev().filter(|index| **index < kept.len()).collect::<Vec<_>>() {
                    kept.remove(*index);
                }
                assert_eq!(&kept, &after["mounts"].as_array().cloned().unwrap_or_default());
            }
            "process" => {
                let entries = |process: &Value| process["env"].as_array().cloned().unwrap_or_default();
                assert!(entries(&after["process"]).starts_with(&entries(value)), "the environment");
            }
            "hooks" => {}
            _ => assert_eq!(after.get(key), Some(value), "{key}"),
        }
    }
}

/// A hosts file has the lines that the annotations ask for, and no others.
pub(super) fn annotations(data: &[u8]) {
    let Ok(annotations) = serde_json::from_slice::<Annotations>(data) else { return };
    annotations.values().for_each(|text| named_by_an_engine(text));
    let annotations = PodAnnotations::new(Some(&annotations), None);
    let _ = (annotations.opted_out(), downward_api::requested(annotations, &[]));
    let (Ok(aliases), Ok(ips)) = (annotations.host_aliases(), annotations.pod_ips()) else { return };
    let names = NameFields {
        naming: Naming::Kubernetes,
        engine_hostname: None,
        pod_name: "web".to_owned(),
        namespace: "default".to_owned(),
        hostname: annotations.hostname().map(str::to_owned),
        hostname_override: annotations.hostname_override().map(str::to_owned),
        subdomain: annotations.subdomain().map(str::to_owned),
    };
    let pod = Pod { names, aliases };
    for rules in [IpRules::Strict, IpRules::Legacy] {
        let Ok(file) = pod.hosts_file(&Network::Pod(ips.clone()), "cluster.local", rules) else { continue };
        let lines = file.split(|byte| *byte == b'\n').count();
        let aliases = if pod.aliases.is_empty() { 0 } else { 2 + pod.aliases.len() };
        assert_eq!(lines, 8 + ips.len() + aliases, "{}", String::from_utf8_lossy(&file));
        if !ips.is_empty() {
            let read = KubeletFile::parse(&file, None).expect("is one").expect("has the header");
            assert_eq!(read.pod.expect("a pod's").ips, ips);
        }
    }
}

/// Whatever an engine calls a pod, the file has one line of two or three words for each address.
fn named_by_an_engine(text: &str) {
    let names = NameFields {
        naming: Naming::Engine,
        engine_hostname: Some(text.to_owned()),
        pod_name: text.to_owned(),
        namespace: text.to_owned(),
        subdomain: Some("sub".to_owned()),
        ..NameFields::default()
    };
    let pod = Pod { names, aliases: Vec::new() };
    let network = Network::Pod(vec!["10.0.0.1".to_owned()]);
    let file = pod
        .hosts_file(&network, "cluster.local", IpRules::Strict)
        .expect("no name of an engine's is an error");
    let file = String::from_utf8(file).expect("is text");
    let own = file.lines().nth(7).expect("the pod's line");
    assert_eq!(file.lines().count(), 8, "{file}");
    let words = own.split(|c: char| c.is_whitespace() || c.is_control() || c == '#').count();
    assert_eq!(words, own.split('\t').count(), "{own:?}");
    assert!(words == 2 || words == 3, "{own:?}");
}

/// What was taken apart and is put together again is the same.
pub(super) fn kubelet_file(data: &[u8]) {
    let node: &[u8] = b"127.0.0.1 localhost\n";
    for node_hosts in [None, Some(node)] {
        let Ok(Some(read)) = KubeletFile::parse(data, node_hosts) else { continue };
        let written = write(&read, node_hosts.unwrap_or_default());
        let again = KubeletFile::parse(&written, node_hosts);
        assert_eq!(again, Ok(Some(read)), "{}", String::from_utf8_lossy(&written));
    }
}

fn write(read: &KubeletFile, node_hosts: &[u8]) -> Vec<u8> {
    let aliases: &[HostAlias] = &read.aliases;
    match &read.pod {
        Some(pod) => hosts_file::pod_network(&pod.ips, &pod.name, aliases),
        None => hosts_file::host_network(node_hosts, aliases),
    }
}

pub(super) fn record(data: &[u8]) {
    if let Ok(record) = PodRecord::parse(data, "abc") {
        assert_eq!(record.sandbox_id, "abc");
        let text = serde_json::to_vec(&record).expect("a record is JSON");
        assert_eq!(PodRecord::parse(&text, "abc").expect("is read again"), record);
    }
    let dir = Path::new("/run/podhosts/pods");
    if let Some(Ok(path)) = text(data).map(|id| path(dir, id)) {
        assert_eq!(path.parent(), Some(dir));
        assert!(path.file_name().and_then(|name| id_of(name.to_str()?)).is_some());
    }
}

pub(super) fn node_config(data: &[u8]) {
    if let Some(text) = text(data) {
        let told = NodeConfig::parse(text, "config.toml").err().map(|error| error.to_string());
        assert!(told.is_none_or(|told| !told.contains('\n')), "more than one line");
    }
}

/// A command line, its words ended by NUL.
pub(super) fn arguments(data: &[u8]) {
    let words = data.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let words: Vec<OsString> = words.collect();
    let mut invocation = Invocation::default();
    let _ = argv::parse(&words, &mut invocation);
}
