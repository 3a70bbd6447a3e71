//! The layouts: main file and drop-ins, handlers and defaults before and behind ours, what CRI-O does not read.

use std::os::unix::fs::symlink;

use crate::configure::files::CRIO;
use crate::harness::etc::Etc;

/// The ways of `configure`.
pub(super) const WAYS: [&[&str]; 4] = [
    &["--mode", "hooks-dir"],
    &["--mode", "wrapper"],
    &["--mode", "wrapper", "--set-as-default"],
    &["--mode", "nri"],
];

/// Files of a node, and what `configure` does there.
pub(super) struct Layout {
    pub(super) name: &'static str,
    /// Below /etc/crio.
    pub(super) files: Vec<(&'static str, String)>,
    /// Links below /etc/crio, and where they lead to.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// A variable in the environment of podhosts, and so of CRI-O.
    pub(super) variable: &'static str,
    /// For each of [`WAYS`] a part of the refusal; nothing where it succeeds.
    pub(super) refused: [&'static str; 4],
    /// The same where CRI-O is asked, if that makes a difference.
    pub(super) judged: Option<[&'static str; 4]>,
}

impl Layout {
    fn new(name: &'static str, files: &[(&'static str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        Self { name, files, links: &[], variable: "", refused: [""; 4], judged: None }
    }

    fn refused(self, refused: [&'static str; 4]) -> Self {
        Self { refused, ..self }
    }

    /// Refused in every way.
    fn never(self, refused: &'static str) -> Self {
        self.refused([refused; 4])
    }

    fn judged(self, judged: [&'static str; 4]) -> Self {
        Self { judged: Some(judged), ..self }
    }

    fn links(self, links: &'static [(&'static str, &'static str)]) -> Self {
        Self { links, ..self }
    }

    fn variable(self, variable: &'static str) -> Self {
        Self { variable, ..self }
    }

    /// A node with these files.
    pub(super) fn node(&self) -> Etc {
        let node = Etc::new();
        std::fs::create_dir_all(node.at("/etc/crio")).unwrap();
        for (path, text) in &self.files {
            match path.strip_suffix('/') {
                Some(dir) => std::fs::create_dir_all(node.at(&format!("/etc/crio/{dir}"))).unwrap(),
                None => node.write(&format!("/etc/crio/{path}"), text),
            }
        }
        for (path, target) in self.links {
            symlink(target, node.at(&format!("/etc/crio/{path}"))).unwrap();
        }
        node
    }
}

const NO_KATA: &str = "default_runtime is \"kata\", and there is no such handler";

const RUNC: &str = "[crio.runtime]\ndefault_runtime = \"runc\"\n[crio.runtime.runtimes.runc]\n\
    runtime_path = \"/usr/bin/runc\"\n";

const KATA: &str = "[crio.runtime]\ndefault_runtime = \"kata\"\n[crio.runtime.runtimes.kata]\nruntime_type = \"vm\"\n\
    runtime_path = \"/usr/bin/containerd-shim-kata-v2\"\nruntime_config_path = \"/etc/kata.toml\"\n";

pub(super) fn layouts() -> Vec<Layout> {
    [plain(), behind(), unread(), told(), odd()].into_iter().flatten().collect()
}

/// What administrators have.
fn plain() -> Vec<Layout> {
    let options = "[crio.runtime]\ndefault_runtime = \"crun\"\n[crio.runtime.runtimes.crun]\n\
        runtime_path = \"/usr/bin/crun\"\nruntime_root = \"/run/crun\"\ncontainer_min_memory = \"1MiB\"\n\
        monitor_cgroup = \"pod\"\nmonitor_env = [\"A=b\", \"C=\\\"d\\\"\"]\n\
        allowed_annotations = [\"io.kubernetes.cri-o.userns-mode\"]\nexec_cpu_affinity = \"first\"\n\
        no_sync_log = true\nseccomp_profile = \"/etc/s.json\"\n\
        [crio.runtime.runtimes.crun.default_annotations]\n\"run.oci.systemd.subgroup\" = \"\"\nX = \"y\"\n";
    let workload = "[crio.runtime.workloads.management]\nactivation_annotation = \"target.workload/management\"\n\
        annotation_prefix = \"resources.workload\"\n[crio.runtime.workloads.management.resources]\ncpushares = 0\n\
        cpuset = \"0-1\"\n";
    let platforms = "[crio.runtime]\ndefault_runtime = \"multi\"\n[crio.runtime.runtimes.multi]\n\
        runtime_path = \"/usr/bin/crun\"\ninherit_default_runtime = false\n\
        platform_runtime_paths = { \"linux/arm64\" = \"/a\", \"wasi/wasm\" = \"/b\" }\n";
    vec![
        Layout::new("nothing", &[]),
        Layout::new("as packaged", &[("crio.conf.d/10-crio.conf", CRIO)]),
        Layout::new("main file only", &[("crio.conf", RUNC)]),
        Layout::new("an empty main file", &[("crio.conf", "")]),
        Layout::new("empty directories", &[("crio.conf.d/", ""), ("crio.conf.d/sub/", "")]),
        Layout::new(
            "drop-ins in their order",
            &[
                ("crio.conf", RUNC),
                (
                    "crio.conf.d/10-a.conf",
                    "[crio.runtime]\ndefault_runtime = \"x\"\n[crio.runtime.runtimes.x]\nruntime_path = \"/x\"\nruntime_root = \"/r\"\n",
                ),
                ("crio.conf.d/20-b.conf", "[crio.runtime.runtimes.x]\nruntime_path = \"/y\"\n"),
                ("crio.conf.d/30-c", "[crio.runtime]\nlog_level = \"debug\"\n"),
            ],
        ),
        Layout::new("default in a drop-in", &[("crio.conf.d/50-default.conf", RUNC)]),
        Layout::new("handlers with options", &[("crio.conf", options), ("crio.conf.d/20-w.conf", workload)]),
        Layout::new(
            "a handler without a path",
            &[(
                "crio.conf",
                "[crio.runtime]\ndefault_runtime = \"runc\"\n[crio.runtime.runtimes.runc]\n[crio.runtime.runtimes.crun]\nruntime_path = \"\"\n",
            )],
        ),
        Layout::new(
            "the built-in handler by name",
            &[("crio.conf", "[crio.runtime]\ndefault_runtime = \"crun\"\n")],
        ),
        Layout::new("an empty default", &[("crio.conf", "[crio.runtime]\ndefault_runtime = \"\"\n")]),
        Layout::new("a machine as the default", &[("crio.conf.d/10-kata.conf", KATA)]),
        Layout::new("runtimes for platforms", &[("crio.conf", platforms)]),
        Layout::new(
            "a monitor for all",
            &[(
                "crio.conf",
                "[crio.runtime]\nconmon = \"/usr/bin/conmon\"\nconmon_cgroup = \"pod\"\nconmon_env = [\"A=b\"]\n",
            )],
        ),
        Layout::new("nri is off", &[("crio.conf", "[crio.nri]\nenable_nri = false\n")]),
        Layout::new(
            "nri is elsewhere",
            &[(
                "crio.conf",
                "[crio.nri]\nenable_nri = true\nnri_listen = \"/run/n.sock\"\n[crio.nri.default_validator]\nnri_enable_default_validator = true\n",
            )],
        ),
        Layout::new(
            "a network of its own",
            &[(
                "crio.conf",
                "[crio.network]\nnetwork_dir = \"/etc/net.d\"\nplugin_dirs = [\"/a\", \"/b\"]\n",
            )],
        ),
        Layout::new("no plugin directories", &[("crio.conf", "[crio.network]\nplugin_dirs = []\n")]),
        Layout::new(
            "hooks of the node",
            &[(
                "crio.conf",
                "[crio.runtime]\nhooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/containers/oci/hooks.d\"]\n",
            )],
        ),
        Layout::new("no hooks", &[("crio.conf", "[crio.runtime]\nhooks_dir = []\n")]),
        Layout::new(
            "storage options",
            &[
                ("crio.conf", "[crio]\nstorage_option = [\"a=b\"]\n"),
                ("crio.conf.d/10", "[crio]\nstorage_option = [\"c=d\", \"a=b\"]\n"),
            ],
        ),
    ]
}

/// Files behind ours.
fn behind() -> Vec<Layout> {
    let last = |name, text: &str| Layout::new(name, &[("crio.conf.d/99-z.conf", text)]);
    vec![
        last("a default behind", RUNC).refused([
            "",
            "",
            "99-z.conf sets crio.runtime.default_runtime, too, and goes before",
            "",
        ]),
        last("hooks behind", "[crio.runtime]\nhooks_dir = [\"/h\"]\n").refused([
            "99-z.conf sets crio.runtime.hooks_dir, too, and goes before",
            "",
            "",
            "",
        ]),
        last("our handler behind", "[crio.runtime.runtimes.podhosts]\nruntime_path = \"/x\"\n").refused([
            "",
            "99-z.conf sets crio.runtime.runtimes.podhosts, too, and goes before",
            "99-z.conf sets crio.runtime.runtimes.podhosts, too, and goes before",
            "",
        ]),
        last("nri off behind", "[crio.nri]\nenable_nri = false\n").refused([
            "",
            "",
            "",
            "99-z.conf sets crio.nri.enable_nri, too, and goes before",
        ]),
        Layout::new(
            "hooks in a directory behind",
            &[("crio.conf.d/zz/a.conf", "[crio.runtime]\nhooks_dir = [\"/h\"]\n")],
        )
        .refused(["zz/a.conf sets crio.runtime.hooks_dir, too, and goes before", "", "", ""]),
        Layout::new(
            "a directory between",
            &[
                ("crio.conf.d/50/a.conf", RUNC),
                ("crio.conf.d/50.conf", "[crio.runtime]\ndefault_runtime = \"crun\"\n"),
            ],
        ),
        last(
            "names in another case behind",
            "[Crio.RUNTIME]\nHooks_Dir = [\"/h\"]\nDefault_Runtime = \"crun\"\n",
        )
        .refused([
            "99-z.conf sets crio.runtime.hooks_dir, too, and goes before",
            "",
            "99-z.conf sets crio.runtime.default_runtime, too, and goes before",
            "",
        ]),
    ]
}

/// What CRI-O does not read, or would not start with.
fn unread() -> Vec<Layout> {
    vec![
        Layout::new("a broken file", &[("crio.conf.d/00-broken.conf", "[crio.runtime\n")])
            .never("cannot read /etc/crio/crio.conf.d/00-broken.conf: line 1"),
        Layout::new("a broken file of any name", &[("crio.conf.d/10-crio.conf~", "[[[\n")])
            .never("cannot read /etc/crio/crio.conf.d/10-crio.conf~: line 1"),
        Layout::new("a broken file below", &[("crio.conf.d/a/b/c", "x\n")])
            .never("cannot read /etc/crio/crio.conf.d/a/b/c: line 1"),
        Layout::new("a default that is not there", &[("crio.conf", "[crio.runtime]\ndefault_runtime = \"kata\"\n")])
            .refused([NO_KATA, NO_KATA, "", NO_KATA])
            .judged(["default_runtime set to \"kata\", but no runtime entry table"; 4]),
        Layout::new("runc that is not there", &[("crio.conf", "[crio.runtime]\ndefault_runtime = \"runc\"\n")])
            .judged(["default_runtime set to \"runc\", but no runtime entry table"; 4]),
        Layout::new("another type", &[("crio.conf", "[crio.runtime]\npids_limit = \"many\"\n")])
            .judged(["does not read its files: "; 4]),
        Layout::new("another type where we look", &[("crio.conf.d/1", "[crio.runtime]\nhooks_dir = \"/h\"\n")])
            .never("cannot use /etc/crio/crio.conf.d/1: crio.runtime.hooks_dir is a string, expected a list of strings"),
        Layout::new("a value that it refuses", &[("crio.conf", "[crio.image]\nimage_volumes = \"never\"\n")])
            .judged(["unrecognized image volume type specified"; 4]),
        Layout::new("a key in two cases", &[("crio.conf", "[crio.runtime]\nlog_level = \"info\"\nLog_Level = \"warn\"\n")])
            .never("crio.runtime.log_level is there in upper and lower case, and CRI-O takes either"),
        Layout::new("a link to nothing", &[("crio.conf.d/", "")])
            .links(&[("crio.conf.d/10-x.conf", "/nowhere")])
            .never("cannot read /etc/crio/crio.conf.d/10-x.conf: "),
        Layout::new("a link to a directory", &[("crio.conf.d/", ""), ("other/", "")])
            .links(&[("crio.conf.d/10", "/etc/crio/other")])
            .never("cannot read /etc/crio/crio.conf.d/10: it is not a regular file"),
        Layout::new("a link as the directory", &[("other/", "")])
            .links(&[("crio.conf.d", "other")])
            .never("cannot read /etc/crio/crio.conf.d: it is not a regular file"),
    ]
}

/// What CRI-O is told beside its files. Only CRI-O knows.
fn told() -> Vec<Layout> {
    let packaged =
        |name, variable| Layout::new(name, &[("crio.conf.d/10-crio.conf", CRIO)]).variable(variable);
    vec![
        packaged("hooks by a variable", "CONTAINER_HOOKS_DIR=/v").judged([
            "crio config says that crio.runtime.hooks_dir would be [\"/v\"]",
            "",
            "",
            "",
        ]),
        packaged("a default by a variable", "CONTAINER_DEFAULT_RUNTIME=runc").judged([
            "",
            "",
            "crio config says that crio.runtime.default_runtime would be \"runc\"",
            "",
        ]),
        packaged("our handler by a variable", "CONTAINER_RUNTIMES=podhosts:/v:/r").judged([
            "",
            "crio config says that crio.runtime.runtimes.podhosts.runtime_path would be \"/v\"",
            "crio config says that crio.runtime.runtimes.podhosts.runtime_path would be \"/v\"",
            "",
        ]),
        packaged("another handler by a variable", "CONTAINER_RUNTIMES=x:/v:/r"),
        packaged("a log by a variable", "CONTAINER_LOG=/etc/crio/log"),
        packaged("other files by a variable", "CONTAINER_CONFIG_DIR=/nowhere"),
    ]
}

/// What is seen rarely.
fn odd() -> Vec<Layout> {
    vec![
        Layout::new(
            "unknown keys",
            &[(
                "crio.conf",
                "x = 1\n[crio]\nnew = true\n[crio.runtime]\nmanage_ns_lifecycle = true\n[crio.runtime.runtimes.x]\nnew = [1]\n[crio.newer]\na = 1.5\n[other]\n",
            )],
        ),
        Layout::new(
            "names in another case",
            &[(
                "crio.conf",
                "[CRIO.Runtime]\nDefault_Runtime = \"X\"\nHOOKS_DIR = [\"/h\"]\n[CRIO.Runtime.Runtimes.X]\nRuntime_Path = \"/x\"\n[crio.NRI]\nEnable_NRI = false\n",
            )],
        ),
        Layout::new(
            "a mark and returns",
            &[("crio.conf", "\u{feff}[crio.runtime]\r\nlog_level = \"warn\"\r\n")],
        ),
        Layout::new("what it prints as no TOML", &[("crio.conf", "[crio.runtime]\nlog_filter = '\\d\"x'\n")]),
        Layout::new(
            "somebody's file of our name",
            &[(
                "crio.conf.d/99-podhosts.conf",
                "# mine\n[crio.runtime]\nlog_level = \"warn\"\nhooks_dir = [\"/h\"]\n[crio.image]\npause_command = \"/p\"\n",
            )],
        ),
        Layout::new(
            "tables in a line",
            &[(
                "crio.conf",
                "crio.runtime = { default_runtime = \"x\", runtimes.x = { runtime_path = \"/x\" } }\n",
            )],
        ),
        Layout::new(
            "later TOML",
            &[("crio.conf", "[crio.runtime]\nruntimes = {\n  x = { runtime_path = \"/x\", },\n}\n")],
        ),
        Layout::new(
            "a handler with a dot",
            &[(
                "crio.conf",
                "[crio.runtime.runtimes.\"a.b\"]\nruntime_path = \"/x\"\n[crio.runtime.runtimes.a]\nruntime_path = \"/y\"\n",
            )],
        ),
    ]
}
