//! The aliases of Kubernetes' HostAliases page, and the file that they make.

use super::managed;

pub(crate) const KEY: &str = "podhosts.io/host-aliases";
pub(crate) const ALIASES: &str = r#"[{"ip":"127.0.0.1","hostnames":["foo.local","bar.local"]},{"ip":"10.1.2.3","hostnames":["foo.remote","bar.remote"]}]"#;
/// The same in the file.
pub(crate) const ALIAS_LINES: &str =
    "\n# Entries added by HostAliases.\n127.0.0.1\tfoo.local\tbar.local\n10.1.2.3\tfoo.remote\tbar.remote\n";

/// The file of a pod `name` with the page's aliases.
pub(crate) fn page(addresses: &[impl AsRef<str>], name: &str) -> String {
    let lines: String = addresses.iter().map(|ip| format!("{}\t{name}\n", ip.as_ref())).collect();
    managed(&(lines + ALIAS_LINES))
}
