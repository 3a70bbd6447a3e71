//! The layouts: hooks directories that are read and that are not, what is in them, and other default runtimes.

/// The directory of the node's hooks.
const NODE: &str = "/etc/containers/oci/hooks.d";
const DISTRIBUTION: &str = "/usr/share/containers/oci/hooks.d";
const DROP_INS: &str = "/etc/containers/containers.conf.d";
const CONFIG: &str = "/etc/podhosts/config.toml";

/// Files of a node, and what `configure` does there.
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) files: Vec<(String, String)>,
    /// Lines of the section engine in the node's containers.conf.
    pub(super) engine: &'static str,
    /// A variable of podman's environment, and of podhosts'.
    pub(super) variable: Option<(&'static str, &'static str)>,
    /// Options of `configure`.
    pub(super) args: &'static [&'static str],
    /// Under podman 4.3 and 5.8: nothing where it succeeds, else a part of the refusal.
    pub(super) wanted: [&'static str; 2],
    /// What is said where it succeeds.
    pub(super) said: &'static str,
}

impl Layout {
    fn engine(mut self, lines: &'static str) -> Self {
        self.engine = lines;
        self
    }

    fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.push((path.to_owned(), text.into()));
        self
    }

    /// A file in a hooks directory.
    fn hook(self, dir: &str, name: &str, text: String) -> Self {
        self.file(&format!("{dir}/{name}"), text)
    }

    fn drop_in(self, name: &str, lines: &str) -> Self {
        self.file(&format!("{DROP_INS}/{name}"), format!("[engine]\n{lines}\n"))
    }

    fn with(mut self, args: &'static [&'static str]) -> Self {
        self.args = args;
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variable = Some((name, value));
        self
    }

    fn refused(self, words: &'static str) -> Self {
        self.wanted([words, words])
    }

    fn wanted(mut self, wanted: [&'static str; 2]) -> Self {
        self.wanted = wanted;
        self
    }

    fn said(mut self, words: &'static str) -> Self {
        self.said = words;
        self
    }
}

fn layout(name: &'static str) -> Layout {
    Layout { name, files: Vec::new(), engine: "", variable: None, args: &[], wanted: [""; 2], said: "" }
}

/// A hook for all containers that leaves its name behind.
fn mark(name: &str) -> String {
    with(name, r#""when": {"always": true}, "stages": ["prestart"]"#)
}

fn with(name: &str, rest: &str) -> String {
    format!(r#"{{"version": "1.0.0", "hook": {{"path": "/run/mark", "args": ["mark", "{name}"]}}, {rest}}}"#)
}

const NO_PROGRAM: &str = r#"{"version": "1.0.0", "hook": {"path": "/nowhere/x"}, "when": {"always": true}, "stages": ["prestart"]}"#;
const DEFAULT: &[&str] = &["--mode", "wrapper", "--set-as-default"];
const IS_READ: &str = "hooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/containers/oci/hooks.d\"]";

pub(super) fn layouts() -> Vec<Layout> {
    [directories(), files(), places(), runtimes()].into_iter().flatten().collect()
}

fn directories() -> Vec<Layout> {
    vec![
        layout("nothing"),
        layout("the node's directory is not read, and has broken JSON").hook(
            NODE,
            "broken.json",
            "{".to_owned(),
        ),
        layout("the node's directory is not read, and has a hook").hook(NODE, "mark.json", mark("node")),
        layout("the node's directory is read").engine(IS_READ),
        layout("the node's directory is read, and has a hook").engine(IS_READ).hook(
            NODE,
            "mark.json",
            mark("node"),
        ),
        layout("the node's directory is read, and has broken JSON")
            .engine(IS_READ)
            .hook(NODE, "broken.json", "{".to_owned())
            .refused("it starts no container: cannot read /etc/containers/oci/hooks.d/broken.json: line 1"),
        layout("the distribution has a hook").hook(DISTRIBUTION, "mark.json", mark("distribution")),
        layout("the distribution has a hook of our name")
            .hook(DISTRIBUTION, "podhosts-annotated.json", mark("distribution"))
            .refused("it would no longer read /usr/share/containers/oci/hooks.d/podhosts-annotated.json"),
        layout("hooks_dir is empty, and the node's directory has a hook").engine("hooks_dir = []").hook(
            NODE,
            "mark.json",
            mark("node"),
        ),
        layout("hooks_dir has an empty name").engine("hooks_dir = [\"\"]"),
        layout("hooks_dir has a file")
            .engine("hooks_dir = [\"/etc/vendor\"]")
            .file("/etc/vendor", "")
            .refused("it starts no container: cannot list /etc/vendor: Not a directory"),
        layout("a directory that is named has a hook")
            .with(&["--hooks-dir", "/etc/vendor"])
            .hook("/etc/vendor", "mark.json", mark("vendor"))
            .refused("it would read /etc/vendor/mark.json, which it does not now"),
        layout("a directory that is named has broken JSON")
            .with(&["--hooks-dir", "/etc/vendor"])
            .hook("/etc/vendor", "broken.json", "{".to_owned())
            .refused("it would start no container: cannot read /etc/vendor/broken.json"),
        layout("a directory that is named is read, and has a hook")
            .engine("hooks_dir = [\"/etc/vendor\"]")
            .with(&["--hooks-dir", "/etc/vendor"])
            .hook("/etc/vendor", "mark.json", mark("vendor")),
    ]
}

/// What is in a directory that is read.
fn files() -> Vec<Layout> {
    let read = |name, text: &str| layout(name).engine(IS_READ).hook(NODE, "other.json", text.to_owned());
    vec![
        read(
            "schema 0.1.0",
            r#"{"hook": "/run/mark", "arguments": ["old"], "stage": ["prestart"], "annotations": ["^w"]}"#,
        ),
        read(
            "schema 0.1.0 with both names of a list",
            r#"{"version": "0.1.0", "hook": "/run/mark", "stage": [], "stages": []}"#,
        )
        .refused("oci/hooks.d/other.json: there are both stages and stage"),
        read(
            "a stage of podman's own",
            &with("other", r#""when": {"always": true}, "stages": ["poststop", "prestart"]"#),
        ),
        read("an unknown stage", &with("other", r#""when": {"always": true}, "stages": ["started"]"#))
            .refused("oci/hooks.d/other.json: stage \"started\" is unknown"),
        read(
            "a bad pattern",
            &with("other", r#""when": {"annotations": {"(": ""}}, "stages": ["prestart"]"#),
        )
        .refused("oci/hooks.d/other.json: \"(\" in when is no regular expression of Go's"),
        read(
            "a pattern of Go's that others refuse",
            &with("other", r#""when": {"annotations": {"\\Qpod(\\E|{": "^web"}}, "stages": ["prestart"]"#),
        ),
        read("another version", &mark("other").replace("1.0.0", "1.1.0"))
            .refused("oci/hooks.d/other.json: version is \"1.1.0\", expected"),
        read("other names of keys", &mark("other").replace("version", "VERSION").replace("hook", "Hook")),
        read(
            "a hook for no container",
            &with("other", r#""when": {"always": false}, "stages": ["prestart"]"#),
        ),
        read("a program that is missing, and then broken JSON", "{").hook(
            NODE,
            "a.json",
            NO_PROGRAM.to_owned(),
        ),
        read("broken JSON, and then a program that is missing", "{")
            .hook(NODE, "z.json", NO_PROGRAM.to_owned())
            .refused("it starts no container: cannot read /etc/containers/oci/hooks.d/other.json"),
    ]
}

/// Where podman is told its hooks directories.
fn places() -> Vec<Layout> {
    const VENDOR: &str = "hooks_dir = [\"/etc/vendor\"]";
    let vendor = |name| layout(name).hook("/etc/vendor", "mark.json", mark("vendor"));
    vec![
        vendor("the distribution's file has a directory")
            .file("/usr/share/containers/containers.conf", format!("[engine]\n{VENDOR}\n")),
        vendor("the node's file has a directory").engine(VENDOR),
        vendor("a key in capitals has a directory").engine("HOOKS_DIR = [\"/etc/vendor\"]"),
        vendor("a drop-in has a directory").drop_in("10-vendor.conf", VENDOR),
        vendor("a drop-in behind ours has a directory")
            .drop_in("99-vendor.conf", VENDOR)
            .refused("/etc/containers/containers.conf.d/99-vendor.conf sets engine.hooks_dir, too"),
        vendor("a drop-in appends a directory")
            .drop_in("10-vendor.conf", "hooks_dir = [\"/etc/vendor\", {append = true}]")
            .wanted(["podman does not read its files: reading system config \"/etc/containers/containers.conf.d/10-vendor.conf\"", ""]),
        vendor("a module has a directory")
            .file("/etc/containers/containers.conf.modules/vendor.conf", format!("[engine]\n{VENDOR}\n"))
            .said("note: /etc/containers/containers.conf.modules/vendor.conf sets engine.hooks_dir"),
        vendor("root's own file has a directory")
            .file("/root/.config/containers/containers.conf", format!("[engine]\n{VENDOR}\n"))
            .wanted(["", "/root/.config/containers/containers.conf sets engine.hooks_dir, too"]),
        vendor("CONTAINERS_CONF_OVERRIDE has a directory")
            .file("/etc/override.conf", format!("[engine]\n{VENDOR}\n"))
            .variable("CONTAINERS_CONF_OVERRIDE", "/etc/override.conf")
            .wanted(["", "/etc/override.conf sets engine.hooks_dir, too"]),
        vendor("CONTAINERS_CONF has the only file")
            .variable("CONTAINERS_CONF", "/etc/containers/containers.conf")
            .refused("CONTAINERS_CONF is set, so podman reads /etc/containers/containers.conf alone"),
    ]
}

fn runtimes() -> Vec<Layout> {
    const KEPT: &str =
        "podhosts-runtime runs that from now on, by runtime.runtimes in /etc/podhosts/config.toml";
    let default = |name| layout(name).with(DEFAULT);
    vec![
        layout("a runtime beside the default").with(&["--mode", "wrapper"]),
        default("runc is the default"),
        default("crun is the default").drop_in("10-crun.conf", "runtime = \"crun\"").said(KEPT),
        default("a path is the default").drop_in("10-gpu.conf", "runtime = \"/run/gpu-runtime\"").said(KEPT),
        default("a name of the table is the default")
            .drop_in(
                "10-gpu.conf",
                "runtime = \"gpu\"\nruntimes.gpu = [\"/nowhere/gpu\", \"/run/gpu-runtime\"]",
            )
            .said(KEPT),
        default("the node's configuration has another runtime")
            .drop_in("10-crun.conf", "runtime = \"crun\"")
            .file(CONFIG, "[runtime]\nruntimes = [\"runc\"]\n")
            .said("/runc, the first of runtime.runtimes in /etc/podhosts/config.toml"),
        default("a drop-in behind ours has the default")
            .drop_in("99-vendor.conf", "runtime = \"runc\"")
            .refused("/etc/containers/containers.conf.d/99-vendor.conf sets engine.runtime, too"),
    ]
}
