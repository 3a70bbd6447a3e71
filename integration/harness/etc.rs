//! A node of which only the files of /etc and /var/lib matter, for what changes engines' configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Run, Snapshot, bin};

/// /etc and /var/lib are the test's, /run is empty, the plugin is where engines look for it, and podman's file of the
/// distribution may be another one.
const ENTER: &str = r#"
set -e
dir=$1 plugin=$2 distribution=$3
shift 3
mount --bind "$dir/etc" /etc
mount --bind "$dir/lib" /var/lib
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /opt
mkdir -p /opt/cni/bin
ln -s "$plugin" /opt/cni/bin/podhosts-cni
mount --bind /opt/cni/bin /usr/lib/cni
if [ -n "$distribution" ]; then mount --bind "$distribution" /usr/share/containers/containers.conf; fi
exec "$@"
"#;

/// A node. It goes with the value.
pub(crate) struct Etc {
    dir: TempDir,
    /// Where programs are looked for.
    pub(crate) path: String,
    /// podman's configuration of the distribution.
    pub(crate) distribution: Option<PathBuf>,
}

impl Etc {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("podhosts-test.").tempdir().unwrap();
        for name in ["etc", "lib"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, path: "/usr/sbin:/usr/bin:/sbin:/bin".to_owned(), distribution: None }
    }

    /// A node with a file, for root only.
    pub(crate) fn with(path: &str, text: &str) -> Self {
        let node = Self::new();
        node.write(path, text);
        fs::set_permissions(node.at(path), fs::Permissions::from_mode(0o640)).unwrap();
        node
    }

    /// A path of /etc or /var/lib as it is from outside.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix("/var").unwrap_or(path);
        self.dir.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Changes a file as a person would.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{text}");
        fs::write(self.at(path), text.replacen(from, to, 1)).unwrap();
    }

    pub(crate) fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", ENTER, "sh"]).arg(self.dir.path());
        command.arg(bin("podhosts-cni")).arg(self.distribution.clone().unwrap_or_default());
        command.arg("env").arg(format!("PATH={}", self.path)).arg(program).args(args);
        command
    }

    /// Runs podhosts on the node.
    pub(crate) fn podhosts(&self, args: &[&str]) -> Run {
        self.command(&bin("podhosts"), args).output().unwrap().into()
    }

    /// `podhosts configure`, with the engine as the first of `args`; it has to succeed.
    #[track_caller]
    pub(crate) fn configure(&self, args: &[&str]) -> String {
        self.podhosts(&[&["configure", "--runtime"], args].concat()).success()
    }

    #[track_caller]
    pub(crate) fn unconfigure(&self, engine: &str) -> String {
        self.podhosts(&["unconfigure", "--runtime", engine]).success()
    }

    /// Every file with its text, mode and owner, and every directory, of /etc and /var/lib.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut tree = BTreeMap::new();
        let mut pending = vec![self.at("/etc"), self.at("/var/lib")];
        while let Some(path) = pending.pop() {
            let file = path.symlink_metadata().unwrap();
            let text = match () {
                () if file.is_dir() => String::new(),
                () if file.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                () => String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
            };
            if file.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let shown = format!("{:o} {}:{}\n{text}", file.mode(), file.uid(), file.gid());
            tree.insert(path.strip_prefix(self.dir.path()).unwrap().to_owned(), shown);
        }
        tree
    }

    /// Everything about those files, times and inodes too.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(&[&self.at("/etc"), &self.at("/var/lib")])
    }
}
