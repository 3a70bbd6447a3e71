//! Who put a mount at /etc/hosts: the engine, the kubelet or the user.

use std::cell::LazyCell;
use std::path::{Component, Path};

use crate::bundle::{self, Config, Mount};
use crate::identity::{Dialect, PodIdentity};

/// Who put a mount at /etc/hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The kubelet: the path of the pod's file, which carries aliases and domain.
    Kubelet(String),
    /// The engine: the node's file or one made from it.
    Engine,
    /// The pod's author: a volume, which is never touched.
    User(String),
}

/// Lists the mounts at /etc/hosts, as indices into `mounts`, with their owners.
pub(crate) fn at_etc_hosts(
    config: &Config,
    identity: &PodIdentity,
    kubelet_root: &str,
) -> Vec<(usize, Owner)> {
    let mounts =
        config.mounts().iter().enumerate().filter(|(_, mount)| is_etc_hosts(bundle::destination(mount)));
    // The list of volumes is read once, and only where there is such a mount.
    let is_volume = LazyCell::new(|| is_crio_volume(config));
    mounts.map(|(i, mount)| (i, owner(mount, &is_volume, identity, kubelet_root))).collect()
}

fn owner(
    mount: &Mount,
    is_crio_volume: &LazyCell<bool, impl FnOnce() -> bool>,
    identity: &PodIdentity,
    kubelet_root: &str,
) -> Owner {
    let source = bundle::source(mount);
    if is_kubelet_file(source, identity, kubelet_root) {
        return Owner::Kubelet(source.to_owned());
    }
    let engines = match identity.dialect {
        Dialect::Containerd => is_containerd_file(source, identity),
        Dialect::CriO => source == "/etc/hosts" && !**is_crio_volume,
        Dialect::Podman => is_podman_file(source),
        // Docker and nerdctl write no annotation by which a bundle could be told to be theirs for sure.
        Dialect::Plain => bundle::is_bind(mount) && (is_docker_file(source) || is_nerdctl_file(source)),
    };
    if engines { Owner::Engine } else { Owner::User(source.to_owned()) }
}

/// Whether it is `<kubelet root>/pods/<uid>/etc-hosts`. Where the engine tells the uid, the root can be any: no author can
/// know a pod's uid before the pod is made, and Kubernetes' volumes have other paths. Early containerd 1.6 does not tell
/// it; there, and in bundles whose uid is a mere annotation, the root decides.
fn is_kubelet_file(source: &str, identity: &PodIdentity, kubelet_root: &str) -> bool {
    let is_engines = matches!(identity.dialect, Dialect::Containerd | Dialect::CriO);
    // The CRI's caller may give a pod any uid; the kubelet's are one name in a path.
    let uid = identity.uid.as_deref().filter(|uid| is_engines && is_file_name(uid));
    if let Some(uid) = uid {
        let rest = source.strip_suffix("/etc-hosts").and_then(|rest| rest.strip_suffix(uid));
        return rest.is_some_and(|rest| rest.ends_with("/pods/"));
    }
    let in_pods =
        source.strip_prefix(kubelet_root.trim_end_matches('/')).and_then(|r| r.strip_prefix("/pods/"));
    let uid = in_pods.and_then(|rest| rest.strip_suffix("/etc-hosts"));
    uid.is_some_and(is_file_name)
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != "." && name != ".."
}

/// containerd copies the node's file to `<state>/sandboxes/<sandbox id>/hosts`.
fn is_containerd_file(source: &str, identity: &PodIdentity) -> bool {
    let of = |id| source.strip_suffix("/hosts")?.strip_suffix(id);
    identity.sandbox_id.as_deref().and_then(of).is_some_and(|rest| rest.ends_with("/sandboxes/"))
}

/// Whether podman wrote it: `<run dir>/overlay-containers/<container id>/userdata/hosts`.
fn is_podman_file(source: &str) -> bool {
    let Some(container) = source.strip_suffix("/userdata/hosts") else { return false };
    let id = container.rsplit('/').next().unwrap_or_default();
    is_hex(id, 64)
}

/// Docker writes `<data root>/containers/<container id>/hosts` (moby, `buildSandboxPlatformOptions`). The data root
/// can be any: `--data-root`, a user's own for a rootless daemon, a folder in it with userns-remap. The container can be
/// another one (`--network container:ID`). Where a user mounts a file at /etc/hosts, Docker mounts its own nowhere.
fn is_docker_file(source: &str) -> bool {
    containers_dir(source).is_some_and(|dir| dir.starts_with('/') && dir.ends_with("/containers"))
}

/// nerdctl, and finch with it, writes `<data root>/<hash of containerd's address>/etchosts/<namespace>/<container
/// id>/hosts` (nerdctl, `hostsstore`); the container can be another one, as with Docker.
fn is_nerdctl_file(source: &str) -> bool {
    let Some((store, namespace)) = containers_dir(source).and_then(|dir| dir.rsplit_once('/')) else {
        return false;
    };
    let data = store.strip_suffix("/etchosts").and_then(|data| data.rsplit_once('/'));
    !namespace.is_empty() && data.is_some_and(|(root, hash)| root.starts_with('/') && is_hex(hash, 8))
}

/// `<dir>` of `<dir>/<container id>/hosts`, where the id is one that Docker and nerdctl give: 64 hexadecimal digits.
fn containers_dir(source: &str) -> Option<&str> {
    let (dir, id) = source.strip_suffix("/hosts")?.rsplit_once('/')?;
    is_hex(id, 64).then_some(dir)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// CRI-O lists the volumes that came over the CRI; its own mount of the node's file is not among them.
fn is_crio_volume(config: &Config) -> bool {
    #[derive(serde::Deserialize)]
    struct Volume {
        container_path: String,
    }
    let json = config.annotation("io.kubernetes.cri-o.Volumes").unwrap_or("null");
    // A list that cannot be read is no proof that the mount is CRI-O's own: leave it to the user.
    serde_json::from_str::<Option<Vec<Volume>>>(json)
        .map_or(true, |volumes| volumes.into_iter().flatten().any(|v| is_etc_hosts(&v.container_path)))
}

/// Whether something is mounted at /etc itself.
pub(crate) fn has_etc_volume(config: &Config) -> bool {
    config
        .mounts()
        .iter()
        .any(|mount| clean(bundle::destination(mount)) == [Component::Normal("etc".as_ref())])
}

/// Whether `path`, a mount's destination, is /etc/hosts once `.`, `..` and doubled slashes are gone.
fn is_etc_hosts(path: &str) -> bool {
    clean(path) == [Component::Normal("etc".as_ref()), Component::Normal("hosts".as_ref())]
}

fn clean(path: &str) -> Vec<Component<'_>> {
    let mut clean = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(_) => clean.push(component),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(dialect: Dialect, uid: Option<&str>, source: &str, volumes: &str) -> Vec<Owner> {
        let json = serde_json::json!({
            "root": {"path": "rootfs"},
            "mounts": [
                {"destination": "/proc"},
                {"destination": "/etc/hosts/", "source": source, "type": "bind", "options": ["rbind", "rprivate"]},
            ],
            "annotations": {"io.kubernetes.cri-o.Volumes": volumes},
        });
        let json = json.to_string();
        let config = Config::parse(json.as_bytes()).unwrap();
        let mut identity = PodIdentity::of(dialect);
        identity.sandbox_id = Some("s1".into());
        identity.uid = uid.map(str::to_owned);
        let found = at_etc_hosts(&config, &identity, "/var/lib/kubelet");
        assert!(found.iter().all(|(i, _)| *i == 1));
        found.into_iter().map(|(_, owner)| owner).collect()
    }

    #[test]
    fn each_engine_knows_its_own() {
        let podman = format!("/run/containers/storage/overlay-containers/{}/userdata/hosts", "ab".repeat(32));
        let cases = [
            (Dialect::Containerd, "/var/lib/containerd/x/sandboxes/s1/hosts", true),
            (Dialect::Containerd, "/var/lib/containerd/x/sandboxes/s2/hosts", false),
            (Dialect::Containerd, "/etc/hosts", false),
            (Dialect::CriO, "/etc/hosts", true),
            (Dialect::CriO, "/x/sandboxes/s1/hosts", false),
            (Dialect::Podman, &podman, true),
            (Dialect::Podman, "/home/me/userdata/hosts", false),
            (Dialect::Plain, "/etc/hosts", false),
            (Dialect::Plain, &podman, false),
        ];
        for (dialect, source, engines) in cases {
            let expected = if engines { Owner::Engine } else { Owner::User(source.to_owned()) };
            assert_eq!(owners(dialect, None, source, "null"), [expected], "{dialect:?} {source}");
        }
    }

    #[test]
    fn files_of_docker_and_nerdctl() {
        let id = "0123456789abcdef".repeat(4);
        let of = |dir: &str| format!("{dir}/{id}/hosts");
        let engines = [
            "/var/lib/docker/containers",
            "/data/docker/containers",
            // With userns-remap, rootless, from a snap.
            "/var/lib/docker/100000.100000/containers",
            "/home/me/.local/share/docker/containers",
            "/var/snap/docker/common/var-lib-docker/containers",
            "/var/lib/nerdctl/1935db59/etchosts/default",
            "/var/lib/nerdctl/1935db59/etchosts/k8s.io",
            "/home/me/.local/share/nerdctl/1935db59/etchosts/finch",
        ];
        for source in engines.map(of) {
            assert_eq!(owners(Dialect::Plain, None, &source, "null"), [Owner::Engine], "{source}");
            // Where another engine has made the bundle, the file is a volume.
            for dialect in [Dialect::Containerd, Dialect::CriO, Dialect::Podman] {
                assert_eq!(owners(dialect, None, &source, "null"), [Owner::User(source.clone())], "{source}");
            }
        }
        let users = [
            "/var/lib/docker/volumes",
            "containers",
            "/containers/x",
            "/var/lib/nerdctl/1935db59/etchosts",
            "/var/lib/nerdctl/1935db59/etchosts/",
            "/var/lib/nerdctl/1935DB59/etchosts/default",
            "/var/lib/nerdctl/volumes/etchosts/default",
            "/etchosts/default",
        ];
        let short = [&id[1..], "ABCDEF", "web"].map(|id| format!("/var/lib/docker/containers/{id}/hosts"));
        let beside = [format!("/var/lib/docker/containers/{id}/hostname"), of("/x") + "/hosts"];
        for source in users.map(of).into_iter().chain(short).chain(beside) {
            assert_eq!(owners(Dialect::Plain, None, &source, "null"), [Owner::User(source.clone())]);
        }
    }

    #[test]
    fn only_a_bind_mount_shows_the_file() {
        let source = format!("/var/lib/docker/containers/{}/hosts", "0a".repeat(32));
        for (kind, options, expected) in [
            ("bind", vec!["rprivate"], Owner::Engine),
            ("none", vec!["bind"], Owner::Engine),
            ("tmpfs", vec!["ro"], Owner::User(source.clone())),
        ] {
            let mount = serde_json::json!({"destination": "/etc/hosts", "source": source, "type": kind, "options": options});
            let json = serde_json::json!({"root": {"path": "rootfs"}, "mounts": [mount]}).to_string();
            let config = Config::parse(json.as_bytes()).unwrap();
            let found = at_etc_hosts(&config, &PodIdentity::of(Dialect::Plain), "/var/lib/kubelet");
            assert_eq!(found, [(0, expected)], "{kind}");
        }
    }

    #[test]
    fn a_crio_volume_is_the_users() {
        for volumes in [r#"[{"container_path":"/etc/hosts","host_path":"/etc/hosts"}]"#, "not json"] {
            assert_eq!(
                owners(Dialect::CriO, None, "/etc/hosts", volumes),
                [Owner::User("/etc/hosts".into())]
            );
        }
        assert_eq!(
            owners(Dialect::CriO, None, "/etc/hosts", r#"[{"container_path":"/v"}]"#),
            [Owner::Engine]
        );
    }

    #[test]
    fn the_kubelets_file_is_that_pods() {
        let file = "/var/lib/kubelet/pods/u1/etc-hosts";
        let kubelets = Owner::Kubelet(file.to_owned());
        assert_eq!(owners(Dialect::Containerd, Some("u1"), file, "null"), std::slice::from_ref(&kubelets));
        assert_eq!(owners(Dialect::CriO, None, file, "null"), std::slice::from_ref(&kubelets));
        assert_eq!(owners(Dialect::Plain, Some("u2"), file, "null"), [kubelets]);
        let elsewhere = "/var/lib/k0s/kubelet/pods/u1/etc-hosts";
        let kubelets = Owner::Kubelet(elsewhere.to_owned());
        assert_eq!(owners(Dialect::Containerd, Some("u1"), elsewhere, "null"), [kubelets]);
        let users = Owner::User(elsewhere.to_owned());
        assert_eq!(owners(Dialect::Containerd, None, elsewhere, "null"), std::slice::from_ref(&users));
        assert_eq!(owners(Dialect::Plain, Some("u1"), elsewhere, "null"), [users]);
        assert_eq!(owners(Dialect::CriO, Some("u2"), file, "null"), [Owner::User(file.to_owned())]);
        for other in [
            "/var/lib/kubelet/pods/../etc-hosts",
            "/var/lib/kubelet/pods/a/b/etc-hosts",
            "/x/pods/u1/etc-hosts",
        ] {
            assert_eq!(owners(Dialect::CriO, None, other, "null"), [Owner::User(other.to_owned())]);
        }
        // A uid that is no name of a directory is not the kubelet's.
        for uid in ["u2/volumes/kubernetes.io~empty-dir/v", ".."] {
            let volume = format!("/var/lib/kubelet/pods/{uid}/etc-hosts");
            assert_eq!(owners(Dialect::Containerd, Some(uid), &volume, "null"), [Owner::User(volume)]);
        }
    }

    #[test]
    fn etc_hosts_in_all_its_spellings() {
        for same in ["/etc/hosts", "/etc/hosts/", "//etc/./hosts", "/etc/../etc/hosts", "etc/hosts"] {
            assert!(is_etc_hosts(same), "{same}");
        }
        for other in ["/etc", "/etc/hosts2", "/etc/hosts/x", "/", "", "/hosts"] {
            assert!(!is_etc_hosts(other), "{other}");
        }
    }
}
