//! The cgroup that pays for the seal: a tmpfs page is charged to the cgroup of the process that writes it.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};
use rustix::io::write;

use crate::container::process::Container;
use crate::fs::files::{self, LastLink};

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP_MAGICS: [u64; 2] = [0x0027_e0eb, 0x6367_7270];
/// Largest /proc/PID/cgroup that is read, in bytes.
const CGROUP_MAX: usize = 64 << 10;

/// Moves this process into the container's memory cgroup, and tells whether it could: pages written from then on
/// are the container's memory. A node without memory cgroups is no reason to fail.
pub fn enter(container: &Container) -> bool {
    let name = Path::new("cgroup");
    let text = files::read_at(container.proc(), name, name, CGROUP_MAX, LastLink::Refuse);
    let path = text.ok().and_then(|text| directory(str::from_utf8(&text).ok()?));
    path.is_some_and(|path| move_into(&path).is_ok_and(|moved| moved))
}

fn move_into(path: &Path) -> rustix::io::Result<bool> {
    let procs = openat(CWD, path.join("cgroup.procs"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let kind = fstatfs(&procs)?.f_type;
    let is_cgroup = u64::try_from(kind).is_ok_and(|kind| CGROUP_MAGICS.contains(&kind));
    // 0 is the process that writes.
    Ok(is_cgroup && write(&procs, b"0")? == 1)
}

/// The directory of the memory cgroup that a /proc/PID/cgroup names: version 1 has a line for the controller,
/// version 2 only one line for all. None where it is outside of our own cgroup namespace.
fn directory(text: &str) -> Option<PathBuf> {
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let version_1 = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let version_2 = || lines().find(|(controllers, _)| controllers.is_empty());
    let (top, path) = match version_1 {
        Some((_, path)) => ("/sys/fs/cgroup/memory", path),
        None => ("/sys/fs/cgroup", version_2()?.1),
    };
    let inside = path.strip_prefix('/').filter(|inside| inside.split('/').all(|name| name != ".."))?;
    Some(Path::new(top).join(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_each_version() {
        for (text, expected) in [
            ("9:name=systemd:/\n4:memory:/a/b\n0::/x\n", Some("/sys/fs/cgroup/memory/a/b")),
            ("4:cpu,memory:/a:b\n", Some("/sys/fs/cgroup/memory/a:b")),
            ("0::/kubepods.slice/c.scope\n", Some("/sys/fs/cgroup/kubepods.slice/c.scope")),
            ("1:cpu:/a\n0::/\n", Some("/sys/fs/cgroup/")),
            ("0::/../a\n", None),
            ("4:memory:/a/../b\n", None),
            ("", None),
            ("nonsense\n", None),
        ] {
            assert_eq!(directory(text), expected.map(PathBuf::from), "{text:?}");
        }
    }
}
