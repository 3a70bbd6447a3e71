//! Nodes on each of which one thing is broken, and what doctor says of it.

/// Each row: what breaks the node; the check, its status, and what message and remedy have in them.
pub(crate) const BROKEN: [(&str, &str, &str, &str, &str); 46] = [
    (
        "echo 'on-eror = \"open\"' >/etc/podhosts/config.toml",
        "configuration",
        "error",
        "config.toml: line 1: unknown field `on-eror`",
        "correct /etc/podhosts/config.toml",
    ),
    (
        "echo 'on-error = \"open\"' >/etc/podhosts/config.toml",
        "configuration",
        "warning",
        "a container whose file cannot be sealed starts without",
        "on-error = \"closed\"",
    ),
    (
        "printf '[runtime]\\nruntimes = [\"gvisor\"]\\n' >/etc/podhosts/config.toml",
        "configuration",
        "error",
        "none of gvisor is a program on PATH",
        "install runc or crun",
    ),
    // Only the wrapper needs one.
    (
        "/run/bin/podhosts unconfigure --runtime containerd >/dev/null; rm /run/bin/podhosts-runtime; \
         printf '[runtime]\\nruntimes = [\"gvisor\"]\\n' >/etc/podhosts/config.toml",
        "configuration",
        "warning",
        "none of gvisor is a program on PATH",
        "install runc or crun",
    ),
    (
        "echo 'node-hosts = \"/etc/hosts.none\"' >/etc/podhosts/config.toml",
        "configuration",
        "error",
        "cannot open /etc/hosts.none: No such file",
        "set node-hosts",
    ),
    (
        "printf '[log]\\nfile = \"/proc/none/log\"\\n' >/etc/podhosts/config.toml",
        "configuration",
        "error",
        "cannot open the log /proc/none/log: ",
        "set log.file",
    ),
    (
        "rm /run/bin/podhosts-hook",
        "programs",
        "error",
        "cannot find /run/bin/podhosts-hook: No such file",
        "make install",
    ),
    (
        "rm /run/bin/podhosts-hook; printf '#!/bin/sh\\necho podhosts-hook 0.0.9\\n' >/run/bin/podhosts-hook; \
         chmod +x /run/bin/podhosts-hook",
        "programs",
        "error",
        "/run/bin/podhosts-hook is of version 0.0.9, this program of ",
        "of one version",
    ),
    // The trap: engines leave a hook out, without a word, whose program is missing.
    (
        "sed -i 's|/run/bin|/usr/local/none|' /etc/podhosts/crio-hooks.d/podhosts.json",
        "crio",
        "error",
        "hooks.d/podhosts.json: cannot find /usr/local/none/podhosts-hook: No such file or directory \
         (os error 2); the engine leaves the hook out without a word",
        "podhosts configure --runtime crio",
    ),
    (
        "sed -i 's|/run/bin|/usr/local/none|' /etc/podhosts/podman-hooks.d/podhosts-annotated.json",
        "podman",
        "error",
        "leaves the hook out without a word",
        "podhosts configure --runtime podman",
    ),
    (
        "echo '{' >/etc/podhosts/podman-hooks.d/other.json",
        "podman",
        "error",
        "cannot read /etc/podhosts/podman-hooks.d/other.json: line ",
        "no container starts with it",
    ),
    (
        "echo '{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/bin/true\"},\"when\":{\"always\":true},\"stages\":[\"started\"]}' >/etc/podhosts/podman-hooks.d/other.json",
        "podman",
        "error",
        "other.json: stage \"started\" is unknown",
        "no container starts with it",
    ),
    (
        "echo '{\"version\":\"2.0.0\"}' >/etc/podhosts/podman-hooks.d/other.json",
        "podman",
        "error",
        "other.json: version is \"2.0.0\", expected",
        "no container starts with it",
    ),
    (
        "echo '{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/bin/true\"},\"when\":{\"annotations\":{\"(\":\"\"}},\"stages\":[\"prestart\"]}' >/etc/podhosts/podman-hooks.d/other.json",
        "podman",
        "error",
        "other.json: \"(\" in when is no regular expression of Go's",
        "no container starts with it",
    ),
    (
        "echo '{\"hook\":{\"path\":\"/bin/true\"},\"stages\":[\"prestart\"]}' >/etc/podhosts/podman-hooks.d/other.json",
        "podman",
        "error",
        "other.json: hook is an object, expected a string",
        "no container starts with it",
    ),
    (
        "echo 'hooks_dir' >/etc/containers/containers.conf",
        "podman",
        "error",
        "podman does not read its files: ",
        "correct the file",
    ),
    (
        "rm /etc/containers/containers.conf.d/99-podhosts.conf",
        "podman",
        "error",
        "hooks.d/podhosts-annotated.json is in a directory that is not among hooks_dir",
        "add \"/etc/podhosts/podman-hooks.d\" to hooks_dir",
    ),
    // CRI-O's: podman may be none of podhosts' business here.
    (
        "rm /etc/containers/containers.conf.d/99-podhosts.conf; mkdir -p /etc/containers/oci/hooks.d; \
         rm /etc/podhosts/podman-hooks.d/*; mv /etc/podhosts/crio-hooks.d/podhosts.json /etc/containers/oci/hooks.d",
        "podman",
        "warning",
        "hooks.d/podhosts.json is in a directory that is not among hooks_dir",
        "add \"/etc/containers/oci/hooks.d\" to hooks_dir",
    ),
    (
        "sed -i 's|createRuntime|poststop|' /etc/podhosts/crio-hooks.d/podhosts.json",
        "crio",
        "error",
        "has stages [\"poststop\"], expected createRuntime",
        "podhosts configure",
    ),
    (
        "sed -i 's|\"always\": true||' /etc/podhosts/crio-hooks.d/podhosts.json",
        "crio",
        "error",
        "is for no container",
        "podhosts configure",
    ),
    (
        "cp /etc/podhosts/podman-hooks.d/podhosts-annotated.json /etc/podhosts/podman-hooks.d/too.json",
        "podman",
        "warning",
        "hooks.d/too.json are both podhosts': the hook runs twice",
        "take one of them away",
    ),
    (
        "/run/bin/podhosts unconfigure --runtime containerd >/dev/null; sed -i '/podhosts/d' /etc/containerd/config.toml",
        "containerd",
        "warning",
        "no runtime handler leads to podhosts",
        "podhosts configure --runtime containerd",
    ),
    (
        "/run/bin/podhosts unconfigure --runtime containerd >/dev/null; printf '[Service]\nExecStart=/run/bin/podhosts nri\n' \
         >/etc/systemd/system/podhosts-nri.service",
        "containerd",
        "error",
        "podhosts-nri.service is there, but containerd before 1.7 has no NRI",
        "podhosts configure --runtime containerd --mode nri",
    ),
    (
        "sed -i '1a disabled_plugins = [\"io.containerd.nri.v1.nri\"]' /etc/containerd/config.toml; \
         printf '[Service]\nExecStart=/run/bin/podhosts nri\n' >/etc/systemd/system/podhosts-nri.service",
        "containerd",
        "error",
        "podhosts-nri.service is there, but NRI is switched off in /etc/containerd/config.toml (disabled_plugins)",
        "take io.containerd.nri.v1.nri out of disabled_plugins",
    ),
    (
        "sed -i '1a imports = [\"/etc/containerd/gone.toml\"]' /etc/containerd/config.toml",
        "containerd",
        "error",
        "/etc/containerd/config.toml imports /etc/containerd/gone.toml, which is not there",
        "take it out of imports; containerd does not start with it",
    ),
    (
        "sed -i '1a imports = [\"/etc/containerd/more.toml\"]' /etc/containerd/config.toml; \
         echo 'version = 3' >/etc/containerd/more.toml",
        "containerd",
        "warning",
        "/etc/containerd/more.toml has version 3, which containerd 1.6 does not read",
        "write it as version 2",
    ),
    (
        "mkdir -p /etc/systemd/system/crio.service.d; touch /etc/systemd/system/crio.service.d/podhosts-nri.conf; \
         printf '[Service]\nExecStart=/usr/local/none/podhosts nri\n' >/etc/systemd/system/podhosts-nri.service; \
         printf '[crio.nri]\nenable_nri = true\n' >/etc/crio/crio.conf",
        "crio",
        "error",
        "podhosts-nri.service: cannot find /usr/local/none/podhosts: No such file",
        "podhosts configure --runtime crio --mode nri",
    ),
    (
        "mkdir -p /etc/systemd/system/crio.service.d; touch /etc/systemd/system/crio.service.d/podhosts-nri.conf; \
         printf '[Service]\nExecStart=/run/bin/podhosts nri\n' >/etc/systemd/system/podhosts-nri.service; \
         printf '[crio.nri]\nnri_listen = \"/run/other.sock\"\n' >/etc/crio/crio.conf",
        "crio",
        "error",
        "it connects to /var/run/nri/nri.sock, and the engine waits for plugins at /run/other.sock",
        "podhosts configure --runtime crio --mode nri",
    ),
    (
        "mkdir -p /etc/systemd/system/crio.service.d; touch /etc/systemd/system/crio.service.d/podhosts-nri.conf; \
         printf '[Service]\nExecStart=/run/bin/podhosts nri\n' >/etc/systemd/system/podhosts-nri.service; \
         printf '[crio.nri]\nnri_disable_connections = true\n' >/etc/crio/crio.conf",
        "crio",
        "error",
        "the engine takes only plugins that it starts itself (disable_connections)",
        "or link /opt/nri/plugins/90-podhosts to podhosts",
    ),
    (
        "mkdir -p /etc/systemd/system/crio.service.d; touch /etc/systemd/system/crio.service.d/podhosts-nri.conf; \
         printf '[Service]\nExecStart=/run/bin/podhosts nri\n' >/etc/systemd/system/podhosts-nri.service; \
         printf '[crio.nri]\nenable_nri = false\n' >/etc/crio/crio.conf",
        "crio",
        "error",
        "podhosts-nri.service is there, but enable_nri is false",
        "podhosts configure --runtime crio --mode nri",
    ),
    (
        "rm /etc/podhosts/crio-hooks.d/podhosts.json",
        "crio",
        "warning",
        "no hook and no runtime handler leads to podhosts",
        "podhosts configure --runtime crio",
    ),
    (
        "rm /run/bin/podhosts-runtime",
        "containerd",
        "error",
        "handler podhosts: cannot find /run/bin/podhosts-runtime",
        "install podhosts there",
    ),
    (
        "sed -i 's|runtimes.runc|runtimes.other|' /etc/containerd/config.toml",
        "containerd",
        "error",
        "there is no runtime handler runc, which is the default",
        "podhosts configure --runtime containerd",
    ),
    (
        "sed -i /pod_annotations/d /etc/containerd/config.toml",
        "containerd",
        "error",
        "handler podhosts does not pass podhosts.io annotations on",
        "pod_annotations = [\"podhosts.io/*\"]",
    ),
    (
        "sed -i 's|io.containerd.runc.v2|io.containerd.kata.v2|' /etc/containerd/config.toml",
        "containerd",
        "error",
        "has runtime_type \"io.containerd.kata.v2\", expected",
        "podhosts configure",
    ),
    (
        "echo 'disabled_plugins = [\"cri\"]' | cat - /etc/containerd/config.toml >/run/c; cp /run/c /etc/containerd/config.toml",
        "containerd",
        "error",
        "/etc/containerd/config.toml switches containerd's CRI plugin off",
        "disabled_plugins",
    ),
    (
        "mkdir /etc/containerd/conf.d; mv /etc/containerd/config.toml /etc/containerd/conf.d/99-podhosts.toml; \
         echo 'version = 2' >/etc/containerd/config.toml",
        "containerd",
        "error",
        "containerd does not read /etc/containerd/conf.d/99-podhosts.toml: nothing imports it",
        "imports = [\"/etc/containerd/conf.d/99-podhosts.toml\"]",
    ),
    (
        "mkdir /etc/containerd/conf.d; sed -i 's|^BinaryName.*||; s|^pod_annotations|base_runtime_spec = \"/etc/podhosts-base.json\"\\n&|' \
         /etc/containerd/config.toml; mv /etc/containerd/config.toml /etc/containerd/conf.d/99-podhosts.toml; \
         echo 'version = 2' >/etc/containerd/config.toml",
        "containerd",
        "error",
        "containerd does not read /etc/containerd/conf.d/99-podhosts.toml: nothing imports it",
        "imports = [\"/etc/containerd/conf.d/99-podhosts.toml\"]",
    ),
    (
        "mkdir /etc/containerd/conf.d; mv /etc/containerd/config.toml /etc/containerd/conf.d/99-podhosts.toml; \
         printf 'version = 2\\nimports = [\"/etc/containerd/conf.d/*.toml\"]\\n' >/etc/containerd/config.toml",
        "containerd",
        "warning",
        "before containerd 2.0 it replaces that of the main file",
        "into the main file",
    ),
    (
        "echo 'version = ' >>/etc/containerd/config.toml",
        "containerd",
        "error",
        "cannot read /etc/containerd/config.toml: line ",
        "correct the file",
    ),
    (
        "sed -i 's|BinaryName.*||; s|pod_annotations|base_runtime_spec = \"/etc/none.json\"\\n&|' /etc/containerd/config.toml",
        "containerd",
        "error",
        "handler podhosts: /etc/none.json cannot be used: cannot open /etc/none.json",
        "--mode base-spec",
    ),
    (
        "rm /opt/cni/bin/podhosts-cni",
        "cni",
        "error",
        "names the plugin podhosts-cni, which is no program in /opt/cni/bin, where containerd and CRI-O look for plugins",
        "make install CNI_BIN_DIR=/opt/cni/bin",
    ),
    (
        "rm /opt/cni/bin/loopback",
        "cni",
        "error",
        "containerd calls the plugin loopback with each network, and it is no program in /opt/cni/bin",
        "install the reference plugins",
    ),
    (
        "echo '{\"name\": \"other\", \"plugins\": [{\"type\": \"ptp\"}]}' >/etc/cni/net.d/05-other.conflist",
        "cni",
        "warning",
        "engines take /etc/cni/net.d/05-other.conflist, the first by name, and not",
        "rename",
    ),
    (
        "sed -i /pod-annotations/d /etc/cni/net.d/10-podhosts.conflist",
        "cni",
        "warning",
        "does not give podhosts-cni the pods' annotations",
        "io.kubernetes.cri.pod-annotations",
    ),
    (
        "sed -i 's|10.244.0.0/24|10.244.0.0/33|' /etc/cni/net.d/10-podhosts.conflist",
        "cni",
        "error",
        "10.244.0.0/33",
        "correct the configuration",
    ),
];
