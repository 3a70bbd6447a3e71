//! What the DaemonSet's pod does on a node: its containers run in a real containerd, as a kubelet would have them run.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use serde_json::{Value, json};

use super::image::{NAME, libraries, on_node, with_image};
use super::manifests::{built, container, in_folder, pod, strings};
use crate::harness::containerd::{CONFIG, Containerd, Pod};
use crate::harness::needs;
use crate::harness::serve::Server;

/// The pod of a manifest in a containerd, and what the kubelet knows of it.
struct Kubelet<'a> {
    containerd: &'a Containerd,
    spec: Value,
    pod: Pod<'a>,
    /// Values of the references in `env`, and the variables that the kubelet adds.
    env: Vec<(&'static str, &'static str)>,
}

impl<'a> Kubelet<'a> {
    /// Starts the pod on the node's network, as most of them are.
    fn start(containerd: &'a Containerd, name: &str, spec: &Value) -> Self {
        let pod = on_node(containerd, name);
        let env = vec![("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
        Self { containerd, spec: spec.clone(), pod, env }
    }

    /// Where a volume is on the node.
    fn volume(&self, name: &str) -> String {
        let volumes = self.spec["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == name).unwrap();
        let path = match volume["hostPath"]["path"].as_str() {
            Some(path) => path.to_owned(),
            None => format!("/run/kubelet/{name}"),
        };
        if volume["hostPath"]["type"] != "Socket" {
            self.containerd.node.sh(&format!("mkdir -p {path}"));
        }
        path
    }

    /// A container's configuration, as the kubelet gives it to the engine.
    fn config(&self, name: &str) -> Value {
        let container = container(&self.spec, name);
        let rights = &container["securityContext"];
        let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
        let mounts = mounts.iter().map(|mount| {
            json!({"container_path": mount["mountPath"], "host_path": self.volume(mount["name"].as_str().unwrap()),
                "readonly": mount["readOnly"] == true})
        });
        let added = strings(&rights["capabilities"]["add"]);
        let envs = self.env.iter().map(|(key, value)| json!({"key": key, "value": value}));
        let below_proc =
            |names: &[&str]| names.iter().map(|name| format!("/proc/{name}")).collect::<Vec<_>>();
        let masked =
            ["asound", "acpi", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi"];
        let readonly = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
        let expanded = |arg: &&str| {
            self.env
                .iter()
                .fold(arg.to_string(), |arg, (key, value)| arg.replace(&format!("$({key})"), value))
        };
        let args: Vec<String> = strings(&container["args"]).iter().map(expanded).collect();
        json!({
            "metadata": {"name": name}, "image": {"image": NAME}, "log_path": format!("{name}.log"),
            "command": container["command"], "args": args,
            "envs": envs.collect::<Vec<_>>(), "mounts": mounts.chain(libraries()).collect::<Vec<_>>(),
            "linux": {"security_context": {
                "capabilities": {"add_capabilities": added, "drop_capabilities": ["ALL"]},
                "namespace_options": {"network": 2, "pid": 1},
                "run_as_user": {"value": rights["runAsUser"]}, "run_as_group": {"value": rights["runAsGroup"]},
                "readonly_rootfs": true, "no_new_privs": true, "seccomp": {"profile_type": 0},
                "masked_paths": below_proc(&masked),
                "readonly_paths": below_proc(&readonly),
            }},
        })
    }

    /// Waits until the readiness probe of the agent's container succeeds.
    #[track_caller]
    fn until_ready(&self, id: &str) {
        let probe = &container(&self.spec, "podhosts-node")["readinessProbe"]["httpGet"];
        let [host, path] = ["host", "path"].map(|key| probe[key].as_str().unwrap());
        let url = format!("http://{host}:{}{path}", probe["port"]);
        for _ in 0..600 {
            if self.containerd.node.run("busybox", &["wget", "-qO-", &url]).ok {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("never ready: {:?}", self.containerd.crictl(&["logs", id]));
    }

    /// Runs a container to its end, which has to be a success: what it printed.
    #[track_caller]
    fn run(&self, name: &str) -> String {
        let id = self.pod.start(&self.config(name));
        let state = || self.containerd.inspect("inspect", &id)["status"].clone();
        self.containerd.until(&["inspect", &id], |said| said.contains("CONTAINER_EXITED"));
        // containerd writes the log in its own time.
        if state()["exitCode"].as_i64().unwrap_or_default() == 0 {
            self.containerd.until(&["logs", &id], |said| said.ends_with('\n'));
        }
        let said = self.containerd.crictl(&["logs", &id]);
        assert_eq!(state()["exitCode"].as_i64().unwrap_or_default(), 0, "{said:?}");
        self.containerd.ask(&["rm", &id]);
        said.stdout
    }
}

#[test]
fn its_first_container_installs_and_configures() {
    needs!("make", "umoci", "busybox", "tar");
    let Some(containerd) = with_image() else { return };
    let node = &containerd.node;
    // A file of another group's, which root alone has no right to.
    let config = node.file(CONFIG);
    let before = fs::read_to_string(&config).unwrap();
    std::os::unix::fs::chown(&config, Some(7), Some(8)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    let objects = in_folder();
    let kubelet = Kubelet::start(&containerd, "podhosts", pod(&objects));
    let said = kubelet.run("install");
    assert!(said.starts_with(&format!("changed {CONFIG}\n")), "{said}");
    // The second time is that of an update, while a program runs.
    let mut waits = node.command("/opt/podhosts/bin/podhosts", &["render", "-f", "-"]);
    let mut waits = waits.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(kubelet.run("install"), "nothing to change\n");
    drop(waits.stdin.take());
    assert!(!waits.wait().unwrap().success());
    let programs = node.sh("ls /opt/podhosts/bin; ls -A /opt/cni/bin");
    assert_eq!(
        programs,
        "podhosts\npodhosts-hook\npodhosts-node\npodhosts-runtime\nloopback\npodhosts-cni\n"
    );
    let made = fs::read_to_string(&config).unwrap();
    assert!(made.contains("BinaryName = \"/opt/podhosts/bin/podhosts-runtime\""), "{made}");
    // What somebody chose on the node stays.
    node.run("/opt/podhosts/bin/podhosts", &["configure", "--runtime", "containerd", "--set-as-default"])
        .success();
    assert_eq!(kubelet.run("install"), "nothing to change\n");
    assert!(fs::read_to_string(&config).unwrap().contains("default_runtime_name = \"podhosts\""));

    node.run("/opt/podhosts/bin/podhosts", &["unconfigure", "--runtime", "containerd"]).success();
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    let owner = fs::metadata(&config).unwrap();
    assert_eq!((owner.uid(), owner.gid(), owner.mode() & 0o777), (7, 8, 0o640));
}

/// The kubeconfig of the agent, which has to reach the API server before there are Services.
#[test]
fn the_agent_asks_the_server_of_the_kubelet() {
    needs!("make", "umoci", "busybox", "tar");
    let Some(containerd) = with_image() else { return };
    let objects = in_folder();
    let mut kubelet = Kubelet::start(&containerd, "podhosts", pod(&objects));
    let of_kubelet = "/etc/kubernetes/kubelet.conf";
    let asked = |kubelet: &Kubelet<'_>| {
        let said = kubelet.run("api-server");
        let text = containerd.node.sh("cat /run/kubelet/api-server/kubeconfig");
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        let account = "/var/run/secrets/kubernetes.io/serviceaccount";
        let cluster = &config["clusters"][0]["cluster"];
        assert_eq!(cluster["certificate-authority"], format!("{account}/ca.crt"));
        assert_eq!(config["users"][0]["user"]["tokenFile"], format!("{account}/token"));
        let server = cluster["server"].as_str().unwrap().to_owned();
        assert_eq!(said, format!("podhosts-node asks {server}\n"));
        server
    };
    assert_eq!(asked(&kubelet), "https://10.96.0.1:443");
    kubelet.env = vec![("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")];
    assert_eq!(asked(&kubelet), "https://[fd00::1]:443");
    let kubeadms = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0t\n    server: SERVER\n  \
        name: default-cluster\nusers:\n- name: default-auth\n  user:\n    client-key: /var/lib/kubelet/pki/server: no\n";
    for server in
        ["https://10.0.0.1:6443", "\"https://[fd00::a]:6443\"", "'https://cp.example:6443' # the first"]
    {
        fs::write(containerd.node.file(of_kubelet), kubeadms.replace("SERVER", server)).unwrap();
        // The kubelet's file is for root alone.
        containerd.node.sh(&format!("chmod 600 {of_kubelet}"));
        assert_eq!(asked(&kubelet), server.trim_matches(|c| "\"'".contains(c)).split('\'').next().unwrap());
    }
    // What the administrator says comes first.
    kubelet.env.push(("API_SERVER", "https://10.0.0.9:6443"));
    assert_eq!(asked(&kubelet), "https://10.0.0.9:6443");
}

/// The agent's container, with a shell in it: its rights on the node's network are NET_ADMIN's, and files of root's.
#[test]
fn the_agents_container_has_the_rights_that_the_agent_needs() {
    needs!("make", "umoci", "busybox", "tar", "ip");
    let Some(containerd) = with_image() else { return };
    let objects = in_folder();
    let kubelet = Kubelet::start(&containerd, "podhosts", pod(&objects));
    let mut config = kubelet.config("podhosts-node");
    config["command"] = json!(["sleep", "1000000"]);
    config["args"] = json!([]);
    let id = kubelet.pod.start(&config);
    // CAP_NET_ADMIN alone is 1 << 12.
    let status = containerd.exec(&id, "sed -n 's/^CapEff:.//p; s/^Seccomp:.//p' /proc/1/status");
    assert_eq!(status.success(), "0000000000001000\n2\n");
    // Not by the container's own /proc/sys, but by that of the node's network.
    let key = "net/ipv6/conf/all/forwarding";
    containerd.node.sh(&format!("echo 0 >/proc/sys/{key}"));
    let refused = containerd.exec(&id, &format!("echo 1 >/proc/sys/{key}")).failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
    containerd.exec(&id, &format!("echo 1 >/host/proc/sys/{key}")).success();
    assert_eq!(containerd.node.sh(&format!("cat /proc/sys/{key}")), "1\n");
    for file in ["/etc/cni/net.d/10-podhosts.conflist", "/run/podhosts/x"] {
        containerd.exec(&id, &format!("echo {{}} >{file}")).success();
        assert_eq!(containerd.node.sh(&format!("cat {file}")), "{}\n");
    }
    let refused = containerd.exec(&id, "echo x >/run/api-server/kubeconfig").failure();
    assert!(refused.contains("Read-only file system"), "{refused}");
}

/// What the agent makes on a node, and its address there.
const MADE: &str = "nft list tables | sed -n /podhosts-/p; ls /etc/cni/net.d; \
                    cat /proc/sys/net/ipv6/conf/all/forwarding";
const ADDRESSES: &str = "ip link add up0 type veth peer name up1; ip link set up1 up; ip link set up0 up; ip addr add 192.0.2.1/24 dev up0; \
                         ip addr add 2001:db8::1/64 dev up0 nodad; ip route add default via 192.0.2.254; \
                         ip -6 route add default via 2001:db8::fe; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding";
const SERVER: [&str; 6] = [
    "--cri-endpoint=none",
    "--secure-port=6443",
    "--node-name=n1",
    "--node-ip=192.0.2.1,2001:db8::1",
    "--pod-cidr=10.244.1.0/24,fd00:10:244:1::/64",
    "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
];

/// Waits until containerd says that there is a network for pods, or none.
#[track_caller]
fn until_network(containerd: &Containerd, is_there: bool) {
    containerd.until(&["info", "-q"], |info| {
        let info: Value = serde_json::from_str(info).unwrap();
        let conditions = info["status"]["conditions"].as_array().unwrap();
        conditions.iter().any(|one| one["type"] == "NetworkReady" && one["status"] == is_there)
    });
}

/// From a node without a network to one with pods, an update, and back.
#[test]
fn its_pod_makes_the_network_of_a_node() {
    needs!("make", "umoci", "busybox", "tar", "ip", "nft");
    let Some(containerd) = with_image() else { return };
    let node = &containerd.node;
    node.sh(ADDRESSES);
    // What this machine may have.
    node.sh("rm -f /etc/cni/net.d/*");
    until_network(&containerd, false);
    let server = Server::start_on(node, &node.path(""), &SERVER);
    let objects = in_folder();
    let mut kubelet = Kubelet::start(&containerd, "podhosts", pod(&objects));
    kubelet.env.extend([("API_SERVER", "https://127.0.0.1:6443"), ("NODE_NAME", "n1")]);
    let account = kubelet.volume("account");
    fs::copy(server.dir.join("data/pki/ca.crt"), node.file(&format!("{account}/ca.crt"))).unwrap();
    // Without a newline, as the kubelet writes it.
    fs::write(node.file(&format!("{account}/token")), server.token()).unwrap();
    kubelet.run("install");
    kubelet.run("api-server");
    let agent = kubelet.pod.start(&kubelet.config("podhosts-node"));
    kubelet.until_ready(&agent);
    let tables = "table inet podhosts-node\n";
    let made = node.sh(MADE);
    assert!(made.contains(tables) && made.ends_with("10-podhosts.conflist\n1\n"), "{made}");
    let list = fs::metadata(node.file("/etc/cni/net.d/10-podhosts.conflist")).unwrap().ino();
    until_network(&containerd, true);
    let other = containerd.pod_with(&containerd.pod_config("web"), &[]);
    assert_eq!(other.addresses(), ["10.244.1.2", "fd00:10:244:1::2"]);

    // An update ends one agent, and starts another, which changes nothing.
    containerd.ask(&["stop", "-t", "60", &agent]);
    let code = containerd.inspect("inspect", &agent)["status"]["exitCode"].as_i64();
    assert_eq!((code.unwrap_or_default(), node.sh(MADE)), (0, made.clone()));
    containerd.ask(&["rm", &agent]);
    let agent = kubelet.pod.start(&kubelet.config("podhosts-node"));
    kubelet.until_ready(&agent);
    assert_eq!(node.sh(MADE), made);
    assert_eq!(fs::metadata(node.file("/etc/cni/net.d/10-podhosts.conflist")).unwrap().ino(), list);

    // As docs/kubernetes.md has it.
    other.remove();
    containerd.ask(&["stop", &agent]);
    node.run("/opt/podhosts/bin/podhosts-node", &["--cleanup"]).success();
    assert_eq!(node.sh(MADE), "1\n");
    node.run("/opt/podhosts/bin/podhosts", &["unconfigure", "--runtime", "containerd"]).success();
    assert_eq!(node.run("/opt/podhosts/bin/podhosts", &["in-use"]).success(), "");
}

#[test]
fn what_stays_of_the_hook_alone_ends_when_it_is_asked_to() {
    needs!("make", "umoci", "busybox", "tar");
    let Some(objects) = built("kubernetes-hook-only") else { return };
    let Some(containerd) = with_image() else { return };
    let kubelet = Kubelet::start(&containerd, "podhosts", pod(&objects));
    assert!(kubelet.run("install").starts_with(&format!("changed {CONFIG}\n")));
    let id = kubelet.pod.start(&kubelet.config("installed"));
    assert_eq!(
        containerd.exec(&id, "cat /proc/1/status | sed -n 's/^CapEff:.//p'").success(),
        "0000000000000000\n"
    );
    containerd.ask(&["stop", "-t", "60", &id]);
    let code = containerd.inspect("inspect", &id)["status"]["exitCode"].as_i64();
    // By its trap, or by the signal itself if that came before the trap was set. 137 is the one that comes after a minute.
    let code = code.unwrap_or_default();
    assert!([0, 143].contains(&code), "{code}");
}
