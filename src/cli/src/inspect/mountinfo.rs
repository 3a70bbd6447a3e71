//! One line of /proc/PID/mountinfo, as `man 5 proc_pid_mountinfo` describes it.

use serde::Serialize;

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MountInfo {
    /// Its source.
    pub source: String,
    /// Its file system's type.
    pub fs_type: String,
    /// The mount's own options.
    pub options: String,
    /// The superblock's options.
    pub super_options: String,
}

impl MountInfo {
    /// Whether it is a tmpfs that is read-only both as a mount and as a superblock, so that no other mount can write it.
    pub(crate) fn is_read_only_tmpfs(&self) -> bool {
        let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
        self.fs_type == "tmpfs" && is_ro(&self.options) && is_ro(&self.super_options)
    }

    /// Finds the mount with the id `mount_id` in the text of a mountinfo file.
    pub(crate) fn find(text: &str, mount_id: u64) -> Option<Self> {
        let wanted = mount_id.to_string();
        text.lines().find_map(|line| {
            // Optional fields stand between the options and the lonely hyphen.
            let (head, tail) = line.split_once(" - ")?;
            let head: Vec<&str> = head.split(' ').collect();
            let mut tail = tail.split(' ');
            if *head.first()? != wanted {
                return None;
            }
            Some(Self {
                options: (*head.get(5)?).to_owned(),
                fs_type: tail.next()?.to_owned(),
                source: tail.next()?.to_owned(),
                super_options: tail.next()?.to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::MountInfo;

    #[test]
    fn a_line_with_and_without_optional_fields() {
        let text = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            305 22 0:50 /hosts /etc/hosts ro,nosuid - tmpfs podhosts:cni ro,size=4k\n";
        let mount = MountInfo::find(text, 305).unwrap();
        assert_eq!((mount.source.as_str(), mount.super_options.as_str()), ("podhosts:cni", "ro,size=4k"));
        assert_eq!((mount.options.as_str(), mount.fs_type.as_str()), ("ro,nosuid", "tmpfs"));
        assert_eq!(MountInfo::find(text, 22).unwrap().fs_type, "ext4");
        assert_eq!(MountInfo::find(text, 30), None);
        assert!(mount.is_read_only_tmpfs());
        assert!(!MountInfo { options: "rw,nosuid".into(), ..mount }.is_read_only_tmpfs());
    }
}
