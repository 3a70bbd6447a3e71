//! The Kubernetes-managed hosts file, byte for byte.
//!
//! Followed: `managedHostsFileContent`, `nodeHostsFileContent` and `hostsEntriesFromHostAliases` of the
//! kubelet 1.36. The `fe00::` lines are wrong as IPv6 goes, but conformance tests and years of images know them.

use crate::host_aliases::HostAlias;
use crate::host_name::HostName;

/// First line of the file of a pod with a network of its own.
pub const HEADER: &str = "# Kubernetes-managed hosts file.\n";
/// First line of the file of a pod on the node's network.
pub(crate) const HEADER_HOST_NETWORK: &str = "# Kubernetes-managed hosts file (host network).\n";
/// The lines between the header and the pod's own.
pub(crate) const LOCAL_LINES: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\n\
    fe00::0\tip6-mcastprefix\n\
    fe00::1\tip6-allnodes\n\
    fe00::2\tip6-allrouters\n";
/// The header of the HostAliases; absent when there are none.
pub(crate) const ALIASES_HEADER: &str = "\n# Entries added by HostAliases.\n";

/// The file of a pod with a network of its own: a line for each address in `ips`, in that order.
pub fn pod_network<S: AsRef<str>>(ips: &[S], name: &HostName, aliases: &[HostAlias]) -> Vec<u8> {
    let mut file = [HEADER, LOCAL_LINES].concat();
    for ip in ips {
        file.push_str(ip.as_ref());
        file.push('\t');
        if !name.domain.is_empty() {
            file.push_str(&name.host);
            file.push('.');
            file.push_str(&name.domain);
            file.push('\t');
        }
        file.push_str(&name.host);
        file.push('\n');
    }
    push_aliases(&mut file, aliases);
    file.into_bytes()
}

/// The file of a pod on the node's network: the node's own file as it is, then the aliases.
pub fn host_network(node_hosts: &[u8], aliases: &[HostAlias]) -> Vec<u8> {
    let mut tail = String::new();
    push_aliases(&mut tail, aliases);
    [HEADER_HOST_NETWORK.as_bytes(), node_hosts, tail.as_bytes()].concat()
}

fn push_aliases(file: &mut String, aliases: &[HostAlias]) {
    if aliases.is_empty() {
        return;
    }
    file.push_str(ALIASES_HEADER);
    for alias in aliases {
        // One line for each item, tabs between the names, no merging of equal addresses.
        file.push_str(&alias.ip);
        file.push('\t');
        file.push_str(&alias.hostnames.join("\t"));
        file.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(ip: &str, names: &[&str]) -> HostAlias {
        HostAlias { ip: ip.into(), hostnames: names.iter().map(|&name| name.into()).collect() }
    }

    fn name(host: &str, domain: &str) -> HostName {
        HostName { host: host.into(), domain: domain.into() }
    }

    /// The cases of the kubelet's own TestManagedHostsFileContent.
    #[test]
    fn managed_content() {
        let local = format!("{HEADER}{LOCAL_LINES}");
        let foo = alias("123.45.67.89", &["foo", "bar", "baz"]);
        let park = alias("456.78.90.123", &["park", "doo", "boo"]);
        let cases = [
            (vec!["123.45.67.89"], name("podFoo", ""), vec![], "123.45.67.89\tpodFoo\n"),
            (
                vec!["203.0.113.1"],
                name("podFoo", "domainFoo"),
                vec![],
                "203.0.113.1\tpodFoo.domainFoo\tpodFoo\n",
            ),
            (
                vec!["203.0.113.1"],
                name("podFoo", "domainFoo"),
                vec![foo.clone()],
                "203.0.113.1\tpodFoo.domainFoo\tpodFoo\n\n# Entries added by HostAliases.\n\
                 123.45.67.89\tfoo\tbar\tbaz\n",
            ),
            (
                vec!["203.0.113.1"],
                name("podFoo", "domainFoo"),
                vec![foo, park],
                "203.0.113.1\tpodFoo.domainFoo\tpodFoo\n\n# Entries added by HostAliases.\n\
                 123.45.67.89\tfoo\tbar\tbaz\n456.78.90.123\tpark\tdoo\tboo\n",
            ),
            (
                vec!["203.0.113.1", "fd00::6"],
                name("podFoo", "domainFoo"),
                vec![],
                "203.0.113.1\tpodFoo.domainFoo\tpodFoo\nfd00::6\tpodFoo.domainFoo\tpodFoo\n",
            ),
        ];
        for (ips, name, aliases, tail) in cases {
            let file = pod_network(&ips, &name, &aliases);
            assert_eq!(String::from_utf8(file).unwrap(), format!("{local}{tail}"));
        }
    }

    /// The cases of the kubelet's own TestNodeHostsFileContent, and a file without a last newline.
    #[test]
    fn node_content() {
        let node = b"# hosts file for testing.\n127.0.0.1\tlocalhost\n10.0.0.5 node # x";
        assert_eq!(host_network(node, &[]), [HEADER_HOST_NETWORK.as_bytes(), node].concat());
        let aliases = [alias("123.45.67.89", &["foo", "bar", "baz"]), alias("456.78.90.123", &[])];
        let tail = b"\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\tbaz\n456.78.90.123\t\n";
        assert_eq!(host_network(node, &aliases), [HEADER_HOST_NETWORK.as_bytes(), node, tail].concat());
    }
}
