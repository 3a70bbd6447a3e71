//! Reads the hosts file that the kubelet wrote for a pod.
//!
//! The file is mounted writable into the pod's other containers, so it is not trusted: it is taken apart, every
//! part is checked, and podhosts renders it again. The node's own lines in the file of a host-network pod are
//! taken from the node, not from here.

use std::net::IpAddr;

use thiserror::Error;

use crate::addresses;
use crate::host_aliases::{self, HostAlias};
use crate::host_name::HostName;
use crate::hosts_file::{ALIASES_HEADER, HEADER, HEADER_HOST_NETWORK, LOCAL_LINES};
use crate::validation::dns::is_subdomain;
use crate::validation::go_quote;
use crate::validation::ip::{IpRules, parse_sloppy};

/// The content of the kubelet's file for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletFile {
    /// The pod's lines; `None` in the file of a host-network pod.
    pub pod: Option<PodLines>,
    /// The HostAliases.
    pub aliases: Vec<HostAlias>,
}

/// The lines with the pod's own addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLines {
    /// The addresses, in order.
    pub ips: Vec<String>,
    /// The name that all of them have.
    pub name: HostName,
}

/// A file that carries the kubelet's header, but not its form.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("line {line} is {}, expected {expected}", go_quote(.found))]
pub struct KubeletFileError {
    line: usize,
    found: String,
    expected: &'static str,
}

/// A file that has the kubelet's form and another pod's content.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// Another host name.
    #[error("it names the pod {}, expected {}, the host name that the engine gave it", go_quote(.0), go_quote(.1))]
    Name(String, String),
    /// A domain of another namespace.
    #[error("it has the domain {}, expected <subdomain>.{}.svc.<cluster domain>", go_quote(.0), .1)]
    Domain(String, String),
    /// An address of another pod's.
    #[error("it has address {0}, expected those of the pod: {1}")]
    Address(String, String),
    /// The CNI record has more addresses.
    #[error("address {0} of the pod's CNI record is missing in it")]
    Missing(IpAddr),
}

/// Longest piece of a bad line that an error quotes, in characters.
const QUOTED: usize = 60;

impl KubeletFile {
    /// Takes the file apart; `None` where it does not begin with the kubelet's header (or is still empty).
    /// `node_hosts` is the node's own file, for a pod on the node's network.
    ///
    /// # Errors
    /// The first line that the kubelet would not have written.
    pub fn parse(bytes: &[u8], node_hosts: Option<&[u8]>) -> Result<Option<Self>, KubeletFileError> {
        if let Some(rest) = bytes.strip_prefix(HEADER_HOST_NETWORK.as_bytes()) {
            let block = block_behind(rest, node_hosts.unwrap_or_default());
            let first_line = 1 + count_lines(&bytes[..bytes.len() - block.len()]);
            let Some(lines) = block.strip_prefix(ALIASES_HEADER.as_bytes()) else {
                let found = text(block, first_line)?.lines().next().unwrap_or_default();
                let is_empty = block.is_empty();
                let none = Self { pod: None, aliases: Vec::new() };
                let expected = "the node's hosts file, then the HostAliases";
                return if is_empty { Ok(Some(none)) } else { Err(error(first_line, found, expected)) };
            };
            let first_line = first_line + count_lines(ALIASES_HEADER.as_bytes());
            return Ok(Some(Self { pod: None, aliases: aliases(text(lines, first_line)?, first_line)? }));
        }
        if !bytes.starts_with(HEADER.as_bytes()) {
            return Ok(None);
        }
        let rest = &text(bytes, 1)?[HEADER.len()..];
        let Some(rest) = rest.strip_prefix(LOCAL_LINES) else {
            return Err(error(2, rest.lines().next().unwrap_or_default(), "the kubelet's localhost lines"));
        };
        let first_line = 1 + count_lines(HEADER.as_bytes()) + count_lines(LOCAL_LINES.as_bytes());
        let (pod_lines, block) = match rest.split_once(ALIASES_HEADER) {
            Some((pod_lines, block)) => (pod_lines, Some(block)),
            None => (rest, None),
        };
        let pod = pod_lines_of(pod_lines, first_line)?;
        let before = count_lines(pod_lines.as_bytes()) + count_lines(ALIASES_HEADER.as_bytes());
        let aliases = block.map_or(Ok(Vec::new()), |block| aliases(block, first_line + before))?;
        Ok(Some(Self { pod: Some(pod), aliases }))
    }
}

impl PodLines {
    /// Compares the name with what the engine tells; `None` where it does not tell. It tells the name alone or, with
    /// `setHostnameAsFQDN`, the name with the domain.
    ///
    /// # Errors
    /// Where the two contradict each other.
    pub fn check_name(&self, hostname: Option<&str>, namespace: Option<&str>) -> Result<(), Contradiction> {
        let HostName { host, domain } = &self.name;
        let full = if domain.is_empty() { host.clone() } else { format!("{host}.{domain}") };
        if let Some(hostname) = hostname.filter(|known| known != host && **known != full) {
            return Err(Contradiction::Name(full, hostname.to_owned()));
        }
        let is_of = |namespace: &str| {
            let mut labels = domain.split('.').skip(1);
            labels.next() == Some(namespace) && labels.next() == Some("svc") && labels.next().is_some()
        };
        match namespace {
            Some(namespace) if !domain.is_empty() && !is_of(namespace) => {
                Err(Contradiction::Domain(domain.clone(), namespace.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The addresses that are none of `known`.
    pub fn unknown_ips(&self, known: &[IpAddr]) -> impl Iterator<Item = &str> {
        let known: std::collections::HashSet<IpAddr> = known.iter().copied().collect();
        let is_known = move |ip: &str| parse_sloppy(ip).is_some_and(|ip| known.contains(&ip));
        self.ips.iter().map(String::as_str).filter(move |ip| !is_known(ip))
    }

    /// Compares the addresses with those of the CNI record, all of which the file has to have, and those `found`
    /// otherwise. Where there are none at all, nothing is known.
    ///
    /// # Errors
    /// The first address that contradicts them.
    pub fn check_ips(&self, recorded: &[IpAddr], found: &[IpAddr]) -> Result<(), Contradiction> {
        let mut known = [recorded, found].concat();
        known.sort_unstable();
        known.dedup();
        if !known.iter().any(|ip| addresses::is_global(*ip)) {
            return Ok(());
        }
        if let Some(ip) = self.unknown_ips(&known).next() {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(Contradiction::Address(ip.to_owned(), known.join(", ")));
        }
        let own: Vec<IpAddr> = self.ips.iter().filter_map(|ip| parse_sloppy(ip)).collect();
        let missing = recorded.iter().find(|ip| !own.contains(ip));
        missing.map_or(Ok(()), |missing| Err(Contradiction::Missing(*missing)))
    }
}

/// The block that the kubelet appended to the node's file. That file may hold anything, another such block too; only
/// where it is another one than the kubelet saw, the last block is taken for the pod's.
fn block_behind<'a>(rest: &'a [u8], node_hosts: &[u8]) -> &'a [u8] {
    let header = ALIASES_HEADER.as_bytes();
    rest.strip_prefix(node_hosts)
        .filter(|block| block.is_empty() || block.starts_with(header))
        .unwrap_or_else(|| {
            let last = rest.windows(header.len()).rposition(|window| window == header);
            &rest[last.unwrap_or(rest.len())..]
        })
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// `bytes`, of which the first line has the number `first_line`, as text.
fn text(bytes: &[u8], first_line: usize) -> Result<&str, KubeletFileError> {
    str::from_utf8(bytes).map_err(|cause| {
        let line = first_line + count_lines(&bytes[..cause.valid_up_to()]);
        error(line, "not UTF-8", "names and addresses")
    })
}

fn pod_lines_of(text: &str, first_line: usize) -> Result<PodLines, KubeletFileError> {
    let mut ips = Vec::new();
    let mut name: Option<HostName> = None;
    for (i, line) in lines(text, first_line)? {
        let parsed = pod_line(line).filter(|(_, this)| name.as_ref().is_none_or(|name| name == this));
        let expected = "the pod's address, a tab and the pod's name";
        let (ip, this) = parsed.ok_or_else(|| error(i, line, expected))?;
        ips.push(ip.to_owned());
        name = Some(this);
    }
    match name {
        Some(name) => Ok(PodLines { ips, name }),
        None => Err(error(first_line, "", "at least one line with the pod's address")),
    }
}

/// `<ip>\t<host>` or `<ip>\t<host>.<domain>\t<host>`.
fn pod_line(line: &str) -> Option<(&str, HostName)> {
    let (ip, names) = line.split_once('\t')?;
    parse_sloppy(ip)?;
    let (host, domain) = match names.split_once('\t') {
        None => (names, ""),
        Some((full, host)) => (host, full.strip_prefix(host)?.strip_prefix('.')?),
    };
    let valid = is_subdomain(host) && (domain.is_empty() || is_subdomain(domain));
    valid.then(|| (ip, HostName { host: host.to_owned(), domain: domain.to_owned() }))
}

/// The aliases in `block`, of which the first line has the number `first_line`.
fn aliases(block: &str, first_line: usize) -> Result<Vec<HostAlias>, KubeletFileError> {
    let mut aliases = Vec::new();
    for (i, line) in lines(block, first_line)? {
        let alias = alias(line).ok_or_else(|| error(i, line, "a HostAlias: an address, then names"))?;
        aliases.push(alias);
    }
    // The kubelet writes no block without aliases: this one is still being written.
    if aliases.is_empty() {
        return Err(error(first_line, "", "at least one HostAlias"));
    }
    Ok(aliases)
}

fn alias(line: &str) -> Option<HostAlias> {
    let (ip, names) = line.split_once('\t')?;
    let hostnames =
        if names.is_empty() { Vec::new() } else { names.split('\t').map(str::to_owned).collect() };
    let alias = HostAlias { ip: ip.to_owned(), hostnames };
    // Pods stored by older API servers keep addresses that today's would refuse.
    host_aliases::validate(std::slice::from_ref(&alias), IpRules::Legacy).is_empty().then_some(alias)
}

/// The lines of `text` with their numbers; the kubelet ends each with a newline.
fn lines(text: &str, first: usize) -> Result<impl Iterator<Item = (usize, &str)>, KubeletFileError> {
    if !text.is_empty() && !text.ends_with('\n') {
        let last = text.rsplit('\n').next().unwrap_or_default();
        return Err(error(first + text.matches('\n').count(), last, "a newline at the end"));
    }
    Ok(text.split_terminator('\n').enumerate().map(move |(i, line)| (first + i, line)))
}

fn error(line: usize, found: &str, expected: &'static str) -> KubeletFileError {
    KubeletFileError { line, found: found.chars().take(QUOTED).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts_file;

    fn alias(ip: &str, names: &[&str]) -> HostAlias {
        HostAlias { ip: ip.into(), hostnames: names.iter().map(|&name| name.into()).collect() }
    }

    #[test]
    fn what_was_rendered_is_read_back() {
        let name = HostName { host: "web".into(), domain: "sub.ns.svc.cluster.local".into() };
        let short = HostName { host: "web.a".into(), domain: String::new() };
        let aliases = vec![alias("1.2.3.004", &["a", "b.c"]), alias("::ffff:1.2.3.4", &[])];
        for (name, aliases) in [(name.clone(), vec![]), (name, aliases.clone()), (short, aliases)] {
            let ips = vec!["10.0.0.1".to_owned(), "FD00::1".to_owned()];
            let text = hosts_file::pod_network(&ips, &name, &aliases);
            let file = KubeletFile::parse(&text, None).unwrap().unwrap();
            assert_eq!(file, KubeletFile { pod: Some(PodLines { ips, name }), aliases });
        }
    }

    #[test]
    fn the_nodes_file_may_hold_anything() {
        let aliases = vec![alias("10.0.0.9", &["x"])];
        for node in [
            &b"127.0.0.1 localhost\n"[..],
            b"127.0.0.1 localhost\n\n# Entries added by HostAliases.\n6.6.6.6\told\n",
            b"127.0.0.1 localhost\n\n# Entries added by HostAliases.\n6.6.6.6 with a space",
            b"# caf\xe9\n127.0.0.1 localhost",
            b"",
        ] {
            for aliases in [&aliases[..], &[]] {
                let bytes = hosts_file::host_network(node, aliases);
                let expected = KubeletFile { pod: None, aliases: aliases.to_vec() };
                assert_eq!(KubeletFile::parse(&bytes, Some(node)).unwrap().unwrap(), expected);
            }
        }
        // The node's file has changed since.
        let bytes = hosts_file::host_network(b"old\n", &aliases);
        assert_eq!(KubeletFile::parse(&bytes, Some(b"new\n")).unwrap().unwrap().aliases, aliases);
    }

    /// Whatever is accepted is exactly what the kubelet would have written: rendered again it is the same.
    #[test]
    fn nothing_is_accepted_that_would_not_be_rendered() {
        let name = HostName { host: "web".into(), domain: "s.n.svc.c".into() };
        let ips = ["10.0.0.1".to_owned(), "fd00::1".to_owned()];
        let file = hosts_file::pod_network(&ips, &name, &[alias("1.2.3.4", &["a", "b"]), alias("::1", &[])]);
        let bytes = b"\t\n\r\0 #.-:a1Z\xe9\x7f";
        let mut accepted = 0;
        for at in 0..file.len() {
            for byte in bytes {
                let mut replaced = file.clone();
                replaced[at] = *byte;
                let mut inserted = file.clone();
                inserted.insert(at, *byte);
                let mut removed = file.clone();
                removed.truncate(at);
                for text in [replaced, inserted, removed] {
                    let Ok(Some(found)) = KubeletFile::parse(&text, None) else { continue };
                    let pod = found.pod.unwrap();
                    assert_eq!(hosts_file::pod_network(&pod.ips, &pod.name, &found.aliases), text);
                    accepted += 1;
                }
            }
        }
        assert!(accepted > 100, "{accepted}");
    }

    fn lines_of(host: &str, domain: &str, ips: &[&str]) -> PodLines {
        let name = HostName { host: host.into(), domain: domain.into() };
        PodLines { ips: ips.iter().map(|&ip| ip.to_owned()).collect(), name }
    }

    #[test]
    fn a_name_is_compared_with_the_engines() {
        let fqdn = "shop.ns.svc.k8s.example";
        for (host, domain, hostname, namespace, fits) in [
            ("web", "", Some("web"), Some("ns"), true),
            ("web", fqdn, Some("web"), Some("ns"), true),
            ("web", fqdn, Some("web.shop.ns.svc.k8s.example"), Some("ns"), true),
            ("web", fqdn, None, None, true),
            ("a.b", "", Some("a.b"), Some("ns"), true),
            ("db", "", Some("web"), Some("ns"), false),
            ("db", fqdn, Some("web"), Some("ns"), false),
            ("web", "", Some("web.shop.ns.svc.k8s.example"), Some("ns"), false),
            ("web", "shop.other.svc.k8s.example", Some("web.shop.ns.svc.k8s.example"), Some("ns"), false),
            ("web", "shop.other.svc.k8s.example", Some("web"), Some("ns"), false),
            ("web", "bank.example", None, Some("ns"), false),
            ("web", "shop.ns.svc", None, Some("ns"), false),
        ] {
            let checked = lines_of(host, domain, &[]).check_name(hostname, namespace);
            assert_eq!(checked.is_ok(), fits, "{host} {domain} {hostname:?}: {checked:?}");
        }
    }

    #[test]
    fn addresses_are_compared_with_the_networks() {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (file, recorded, found, fits) in [
            // Any order and spelling; other interfaces.
            (&["10.0.0.1", "FD00:0::1"][..], &["fd00::1", "10.0.0.1"][..], &[][..], true),
            (&["10.0.0.1"], &[], &["127.0.0.1", "10.0.0.1", "fe80::1", "192.168.0.9"], true),
            (&["10.0.0.1", "10.0.0.2"], &["10.0.0.1"], &["10.0.0.1", "10.0.0.2"], true),
            // Nothing is known of a network that no interface has.
            (&["10.0.0.1"], &[], &["127.0.0.1", "::1", "fe80::1"], true),
            (&["6.6.6.6"], &["10.0.0.1"], &[], false),
            (&["10.0.0.1", "6.6.6.6"], &["10.0.0.1"], &["10.0.0.1"], false),
            (&["6.6.6.6"], &[], &["10.0.0.1"], false),
            (&["10.0.0.1"], &["10.0.0.1", "fd00::1"], &["10.0.0.1", "fd00::1"], false),
        ] {
            let checked = lines_of("web", "", file).check_ips(&ips(recorded), &ips(found));
            assert_eq!(checked.is_ok(), fits, "{file:?} {recorded:?} {found:?}: {checked:?}");
        }
    }

    #[test]
    fn another_file_is_not_the_kubelets() {
        for other in [
            "",
            "127.0.0.1 localhost\n",
            "# Kubernetes-managed hosts file",
            "\n# Kubernetes-managed hosts file.\n",
        ] {
            assert_eq!(KubeletFile::parse(other.as_bytes(), None).unwrap(), None, "{other:?}");
        }
    }

    #[test]
    fn a_line_that_the_kubelet_never_wrote_is_named() {
        let head = format!("{HEADER}{LOCAL_LINES}");
        let block = "\n# Entries added by HostAliases.\n";
        let cases = [
            (format!("{HEADER}6.6.6.6 evil\n"), 2),
            (head.clone(), 8),
            (format!("{head}10.0.0.1\tweb"), 8),
            (format!("{head}10.0.0.1\tweb\n6.6.6.6\tevil\n"), 9),
            (format!("{head}10.0.0.1\tweb\n10.0.0.2 web\n"), 9),
            (format!("{head}10.0.0.1\tweb\n# x\n"), 9),
            (format!("{head}10.0.0.1\tWEB\n"), 8),
            (format!("{head}10.0.0.1\tother.d\tweb\n"), 8),
            (format!("{head}nonsense\tweb\n"), 8),
            (format!("{head}10.0.0.1\tweb\n{block}1.1.1.1 a\n"), 11),
            (format!("{head}10.0.0.1\tweb\n{block}1.1.1.1\ta\n1.1.1.1\ta\t\n"), 12),
            (format!("{head}10.0.0.1\tweb\n{block}1.1.1.1\ta\r\n"), 11),
            (format!("{HEADER_HOST_NETWORK}node{block}1.1.1.1\ta\n\n"), 5),
        ];
        for (text, line) in cases {
            let error = KubeletFile::parse(text.as_bytes(), None).unwrap_err();
            assert_eq!(error.line, line, "{error}");
        }
    }
}
