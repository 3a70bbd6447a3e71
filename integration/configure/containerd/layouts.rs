//! The layouts: versions mixed, handlers and defaults in drop-ins, files that nothing reads.

use super::judge::Release;
use crate::harness::etc::Etc;

/// Files of a node, and what `configure` does there.
pub(super) struct Layout {
    pub(super) name: &'static str,
    /// Below /etc/containerd.
    pub(super) files: Vec<(&'static str, String)>,
    /// Under containerd 1.6 and 2.1, each without and with `--set-as-default`: nothing where it succeeds, else a part of
    /// the refusal.
    outcomes: [&'static str; 4],
}

impl Layout {
    /// A node with these files and this containerd.
    pub(super) fn node(&self, release: &Release) -> Etc {
        let mut node = Etc::new();
        release.install(&mut node);
        for (path, text) in &self.files {
            node.write(&format!("/etc/containerd/{path}"), text);
        }
        node
    }

    /// Whether one of the files is of a version that containerd 1.x does not read.
    pub(super) fn has_version_3(&self) -> bool {
        self.files.iter().any(|(_, text)| text.starts_with("version = 3") || text.starts_with("version = 4"))
    }

    /// What is wanted without and with `--set-as-default`.
    pub(super) fn wanted(&self, release: &Release) -> [&'static str; 2] {
        let [old, old_default, new, new_default] = self.outcomes;
        if release.version < (2, 0) { [old, old_default] } else { [new, new_default] }
    }
}

/// A file of this version (none where it is 0) with these lines, in which `CRI` is the section for runtimes by the name
/// of version 2, `CRI3` by that of version 3.
pub(super) fn file(version: u8, lines: &str) -> String {
    let head = if version == 0 { String::new() } else { format!("version = {version}\n") };
    let lines = lines.replace("CRI3", "plugins.\"io.containerd.cri.v1.runtime\"");
    head + &lines.replace("CRI", "plugins.\"io.containerd.grpc.v1.cri\"")
}

const IMPORT: &str = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n";
const RUNC: &str = "[CRI.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
    [CRI.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
const NVIDIA: &str = "[CRI.containerd]\ndefault_runtime_name = \"nvidia\"\n\
    [CRI.containerd.runtimes.nvidia]\nprivileged_without_host_devices = true\n\
    runtime_type = \"io.containerd.runc.v2\"\n[CRI.containerd.runtimes.nvidia.options]\n\
    BinaryName = \"/usr/bin/nvidia-container-runtime\"\nSystemdCgroup = true\n";
const SELINUX: &str = "[CRI]\nenable_selinux = true\n";

/// The same with the section's name in version 3.
fn v3(lines: &str) -> String {
    lines.replace("CRI", "CRI3")
}

const OK: [&str; 4] = ["", "", "", ""];
/// Files of version 3 mean nothing to containerd 1.6.
const ONLY_2: [&str; 4] =
    ["has version 3, which containerd 1.6 does not read", "has version 3, which containerd 1.6", "", ""];

/// What is migrated by hand.
const VERSION_1: [&str; 4] = [
    "has version 1, expected 2, 3 or 4; `containerd config dump` prints",
    "has version 1, expected 2, 3 or 4; `containerd config dump` prints",
    "has version 1, expected 2, 3 or 4; `containerd config migrate` prints",
    "has version 1, expected 2, 3 or 4; `containerd config migrate` prints",
];
/// Before containerd 2.0 the drop-in's section replaces that of the main file.
const REPLACED: [&str; 4] = [
    "/etc/containerd/conf.d/50-more.toml is imported, and what it says of the CRI plugin goes before it",
    "/etc/containerd/conf.d/50-more.toml is imported, and what it says of the CRI plugin goes before it",
    "",
    "",
];

/// A refusal everywhere.
const fn all(words: &'static str) -> [&'static str; 4] {
    [words, words, words, words]
}

fn layout(name: &'static str, outcomes: [&'static str; 4], files: &[(&'static str, String)]) -> Layout {
    Layout { name, files: files.to_vec(), outcomes }
}

fn one_file() -> Vec<Layout> {
    let main = |name, outcomes, text: String| layout(name, outcomes, &[("config.toml", text)]);
    vec![
        layout("no file", OK, &[]),
        main("an empty file", OK, String::new()),
        main("comments alone", OK, "# nothing\n".to_owned()),
        main("version 2 alone", OK, file(2, "")),
        main("version 2, no handler", OK, file(2, SELINUX)),
        main("version 2, runc", OK, file(2, RUNC)),
        main("version 2, nvidia as default", OK, file(2, NVIDIA)),
        main(
            "version 2, runc by options alone",
            OK,
            file(2, "[CRI.containerd.runtimes.runc.options]\nSystemdCgroup = true\n"),
        ),
        main(
            "version 2, inline tables",
            OK,
            file(2, "[CRI]\ncontainerd = { runtimes.runc = { runtime_type = \"io.containerd.runc.v2\" } }\n"),
        ),
        main(
            "version 2, a default that is not there",
            all("default_runtime_name is \"gone\", and there is no such handler"),
            file(2, "[CRI.containerd]\ndefault_runtime_name = \"gone\"\n"),
        ),
        main("version 2, runc.v1", OK, file(2, &NVIDIA.replace("runc.v2", "runc.v1"))),
        main(
            "version 2, a shim by its path",
            OK,
            file(2, &NVIDIA.replace("io.containerd.runc.v2", "/opt/bin/containerd-shim-runc-v2")),
        ),
        main(
            "version 2, kata as default",
            OK,
            file(2, &(RUNC.to_owned() + &NVIDIA.replace("runc.v2", "kata.v2").replace("nvidia", "kata"))),
        ),
        main(
            "version 2, default_runtime",
            ["", "containerd.default_runtime goes before default_runtime_name", "", ""],
            file(
                2,
                "[CRI.containerd.default_runtime]\nruntime_type = \"io.containerd.runc.v2\"\n[CRI.containerd.default_runtime.options]\nSystemdCgroup = true\n",
            ),
        ),
        main("version 3 alone", ONLY_2, file(3, "")),
        main("version 3, no handler", ONLY_2, file(3, &v3(SELINUX))),
        main("version 3, runc", ONLY_2, file(3, &v3(RUNC))),
        main("version 3, nvidia as default", ONLY_2, file(3, &v3(NVIDIA))),
        main(
            "version 3, runc by options alone",
            ONLY_2,
            file(
                3,
                &v3(
                    "[CRI.containerd.runtimes.runc.options]\nSystemdCgroup = true\n[CRI.containerd.runtimes.runc]\nbase_runtime_spec = \"/etc/spec.json\"\nprivileged_without_host_devices = true\n",
                ),
            ),
        ),
        main("version 3 with a section of version 2", ONLY_2, file(3, NVIDIA)),
        main("version 2 with a section of version 3", OK, file(2, &v3(NVIDIA))),
        main("version 4", all("has version 4, which containerd"), file(4, &v3(RUNC))),
        main("version 1", VERSION_1, file(0, "[plugins.cri]\nenable_selinux = true\n")),
        main("no version, names of version 2", VERSION_1, file(0, RUNC)),
        main(
            "the CRI plugin switched off",
            all("/etc/containerd/config.toml has the CRI plugin in disabled_plugins"),
            file(2, "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"),
        ),
        main(
            "an import that is not there",
            all("/etc/containerd/config.toml imports /etc/containerd/gone.toml, which is not there"),
            file(2, "imports = [\"/etc/containerd/gone.toml\"]\n"),
        ),
    ]
}

fn drop_ins() -> Vec<Layout> {
    let both = |name, outcomes, main: (u8, &str), drop_in: (u8, &str)| {
        layout(
            name,
            outcomes,
            &[
                ("config.toml", file(main.0, &(IMPORT.to_owned() + main.1))),
                ("conf.d/50-more.toml", file(drop_in.0, drop_in.1)),
            ],
        )
    };
    vec![
        both("2 imports nvidia of 2", REPLACED, (2, RUNC), (2, NVIDIA)),
        both("2 imports nvidia of 3", OK, (2, RUNC), (3, &v3(NVIDIA))),
        both("2 without handlers imports nvidia of 3", OK, (2, ""), (3, &v3(NVIDIA))),
        both("2 imports nvidia without a version", REPLACED, (2, RUNC), (0, NVIDIA)),
        both("2 imports nvidia without a version, names of 3", OK, (2, RUNC), (0, &v3(NVIDIA))),
        both(
            "2 imports a registry of 2",
            REPLACED,
            (2, RUNC),
            (2, "[CRI.registry]\nconfig_path = \"/etc/certs.d\"\n"),
        ),
        both(
            "2 imports another plugin of 3",
            OK,
            (2, RUNC),
            (3, "[plugins.\"io.containerd.gc.v1.scheduler\"]\npause_threshold = 0.05\n"),
        ),
        both("2 imports a file of 3 with nothing", OK, (2, RUNC), (3, "")),
        both("3 imports nvidia of 3", ONLY_2, (3, &v3(RUNC)), (3, &v3(NVIDIA))),
        both("3 imports nvidia of 2", ONLY_2, (3, ""), (2, NVIDIA)),
        both("3 with settings imports nvidia of 2", ONLY_2, (3, &v3(SELINUX)), (2, NVIDIA)),
        both(
            "3 with handlers imports nvidia of 2",
            [
                ONLY_2[0],
                ONLY_2[1],
                "50-more.toml has version 2, and /etc/containerd/config.toml 3",
                "default_runtime_name is \"nvidia\", and there is no such handler then",
            ],
            (3, &v3(RUNC)),
            (2, NVIDIA),
        ),
        both(
            "3 with a default imports handlers of 2",
            ONLY_2,
            (3, &v3("[CRI.containerd]\ndefault_runtime_name = \"nvidia\"\n")),
            (2, NVIDIA),
        ),
        both("3 imports nvidia without a version", ONLY_2, (3, ""), (0, NVIDIA)),
        both("3 imports nvidia without a version, names of 3", ONLY_2, (3, ""), (0, &v3(NVIDIA))),
        both(
            "3 imports nvidia of 1",
            ONLY_2,
            (3, ""),
            (1, "[plugins.cri.containerd]\ndefault_runtime_name = \"x\"\n"),
        ),
        both(
            "3 imports a registry of 2",
            ONLY_2,
            (3, &v3(RUNC)),
            (2, "[CRI.registry]\nconfig_path = \"/etc/certs.d\"\n"),
        ),
        both(
            "3 imports the default of 2",
            ONLY_2,
            (3, &v3(RUNC)),
            (2, "[CRI.containerd]\ndefault_runtime_name = \"runc\"\n"),
        ),
        both("an empty file that imports nvidia of 3", OK, (0, ""), (3, &v3(NVIDIA))),
    ]
}

fn dormant() -> Vec<Layout> {
    let beside = |name, outcomes, main: String, other: (&'static str, String)| {
        layout(name, outcomes, &[("config.toml", main), other])
    };
    vec![
        beside(
            "3, nvidia of 3 is not imported",
            ONLY_2,
            file(3, ""),
            ("conf.d/50-nvidia.toml", file(3, &v3(NVIDIA))),
        ),
        beside(
            "3, nvidia of 2 is not imported",
            ONLY_2,
            file(3, &v3(RUNC)),
            ("conf.d/99-z.toml", file(2, NVIDIA)),
        ),
        beside(
            "3, broken and not imported",
            ONLY_2,
            file(3, ""),
            ("conf.d/50-broken.toml", "[[[".to_owned()),
        ),
        beside("2, nvidia is not imported", OK, file(2, RUNC), ("conf.d/50-nvidia.toml", file(2, NVIDIA))),
        layout(
            "no main file, nvidia is not imported",
            OK,
            &[("conf.d/50-nvidia.toml", file(3, &v3(NVIDIA)))],
        ),
        beside(
            "3, only others are imported",
            ONLY_2,
            file(3, "imports = [\"/etc/containerd/other.d/*.toml\"]\n"),
            ("conf.d/50-nvidia.toml", file(3, &v3(NVIDIA))),
        ),
    ]
}

fn orders() -> Vec<Layout> {
    let of = |name, outcomes, files: &[(&'static str, String)]| layout(name, outcomes, files);
    let z = ("conf.d/zz-last.toml", file(3, &v3("[CRI.containerd]\ndefault_runtime_name = \"runc\"\n")));
    vec![
        of(
            "3, a file behind ours sets the default",
            [ONLY_2[0], ONLY_2[1], "", "/etc/containerd/conf.d/zz-last.toml is imported, and what it says"],
            &[("config.toml", file(3, IMPORT)), z],
        ),
        of(
            "3, a file behind ours of 2",
            ONLY_2,
            &[("config.toml", file(3, IMPORT)), ("conf.d/zz-last.toml", file(2, NVIDIA))],
        ),
        of(
            "3, 2 and then 3",
            ONLY_2,
            &[
                ("config.toml", file(3, IMPORT)),
                ("conf.d/1.toml", file(2, NVIDIA)),
                ("conf.d/2.toml", file(3, &v3(SELINUX))),
            ],
        ),
        of(
            "3, 3 and then 2",
            ONLY_2,
            &[
                ("config.toml", file(3, IMPORT)),
                ("conf.d/1.toml", file(3, &v3(NVIDIA))),
                ("conf.d/2.toml", file(2, SELINUX)),
            ],
        ),
        of(
            "imports of imports",
            ONLY_2,
            &[
                ("config.toml", file(3, "imports = [\"a.toml\"]\n")),
                ("a.toml", file(3, "imports = [\"b.toml\"]\n")),
                ("b.toml", file(2, NVIDIA)),
            ],
        ),
        of(
            "a relative pattern",
            [ONLY_2[0], ONLY_2[1], "", "/etc/containerd/conf.d/a is imported, and what it says"],
            &[
                ("config.toml", file(3, "imports = [\"./x/../conf.d/*\"]\n")),
                ("conf.d/a", file(3, &v3(NVIDIA))),
            ],
        ),
        of(
            "a pattern with a class",
            ONLY_2,
            &[
                ("config.toml", file(3, "imports = [\"conf.d/[^a]*.toml\", \"conf.d/[!b]*.toml\"]\n")),
                ("conf.d/a.toml", file(3, &v3(NVIDIA))),
                ("conf.d/b.toml", file(3, &v3(SELINUX))),
            ],
        ),
        of(
            "a name with a star",
            ONLY_2,
            &[
                ("config.toml", file(3, "imports = ['conf.d/\\*.toml']\n")),
                ("conf.d/a.toml", file(3, &v3(NVIDIA))),
                ("conf.d/*.toml", file(3, &v3(SELINUX))),
            ],
        ),
        of(
            "one file twice",
            ONLY_2,
            &[
                ("config.toml", file(3, "imports = [\"b.toml\", \"a.toml\", \"./b.toml\"]\n")),
                ("a.toml", file(3, &v3(NVIDIA))),
                ("b.toml", file(3, &v3("[CRI.containerd]\ndefault_runtime_name = \"runc\"\n"))),
            ],
        ),
        of(
            "a file of ours that is somebody's",
            ONLY_2,
            &[("config.toml", file(3, IMPORT)), ("conf.d/99-podhosts.toml", file(3, &v3(NVIDIA)))],
        ),
        of(
            "2, an import of 2 without the CRI",
            OK,
            &[
                ("config.toml", file(2, &("imports = [\"a.toml\"]\n".to_owned() + RUNC))),
                ("a.toml", file(2, "[debug]\nlevel = \"warn\"\n")),
            ],
        ),
    ]
}

pub(super) fn layouts() -> Vec<Layout> {
    [one_file(), drop_ins(), dormant(), orders()].into_iter().flatten().collect()
}
