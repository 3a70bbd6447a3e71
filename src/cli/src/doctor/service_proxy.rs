//! The Service proxy of podhosts-apiserver, or of podhosts-node in a cluster: whether the kernel can do what it needs, and
//! what stands in its way. Only where it is in use: on other nodes none of this is podhosts' business.

use std::fs;
use std::io;
use std::path::Path;

use super::finding::Report;
use super::options::PATIENCE;
use sys::fs::files::{self, LastLink};
use sys::net::conntrack::Conntrack;
use sys::net::firewalls;
use sys::net::kube_proxy;
use sys::net::services::{Present, Table, is_held};
use sys::process::{exec, programs};

const CHECK: &str = "service-proxy";
const OUR_TABLE: &str = "inet podhosts-services";
/// Where systemd has the units that it starts, and the server's flags.
const UNITS: &str = "/etc/systemd/system";
const UNIT: &str = "podhosts-apiserver.service";
const FLAGS: &str = "/etc/default/podhosts-apiserver";
/// Largest file that is read, in bytes.
const TEXT_MAX: usize = 1 << 16;
/// iptables of the old kind, which nf_tables does not show: the kernel's list of its tables, and its program.
const LEGACY: [(&str, &str); 2] =
    [("/proc/net/ip_tables_names", "iptables-legacy"), ("/proc/net/ip6_tables_names", "ip6tables-legacy")];

/// Looks at everything that leads connections to Services here.
pub(super) fn check(report: &mut Report) {
    // A program that cannot be found out about counts as none: its table shows it.
    let is_running = is_held().unwrap_or_default();
    let is_wanted = is_running || is_enabled();
    let tables = match firewalls::tables() {
        Ok(tables) => tables,
        Err(_) if !is_wanted => Vec::new(),
        Err(cause) => {
            let message = format!("cannot list the tables of the packet filter: {cause}");
            return report.error(CHECK, message, "run podhosts doctor as the node's root");
        }
    };
    let is_there = tables.iter().any(|table| table == OUR_TABLE);
    if !is_wanted && !is_there {
        return report.skipped(CHECK, "podhosts leads no connections to Services here");
    }
    match kube_proxy::traces() {
        Ok(traces) if is_running && !is_there && !traces.is_empty() => waiting(&traces, report),
        traces => {
            own_table(is_there, report);
            other_proxy(traces, report);
        }
    }
    tracking(report);
    match firewalls::chains() {
        Ok(chains) => firewall(&chains, report),
        Err(cause) => {
            let message = format!("cannot list the chains of the packet filter: {cause}");
            report.error(CHECK, message, "run podhosts doctor as the node's root");
        }
    }
    for (names, program) in LEGACY {
        legacy(Path::new(names), program, report);
    }
}

/// Whether systemd starts the server with its Service proxy.
fn is_enabled() -> bool {
    let units = fs::read_dir(UNITS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wants = units.filter(|path| path.extension().is_some_and(|extension| extension == "wants"));
    let flags = text(Path::new(FLAGS));
    wants.any(|wants| wants.join(UNIT).symlink_metadata().is_ok()) && !is_off(&flags)
}

/// Whether the file with the server's flags switches the Service proxy off.
fn is_off(flags: &str) -> bool {
    let lines = flags.lines().filter(|line| !line.trim_start().starts_with('#'));
    let values = lines.filter_map(|line| line.split_once('=')).map(|(_, value)| value);
    let is_quote = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let words: Vec<&str> =
        values.flat_map(|line| line.split(is_quote)).filter(|word| !word.is_empty()).collect();
    words.contains(&"--proxy=none") || words.windows(2).any(|pair| pair == ["--proxy", "none"])
}

fn own_table(is_there: bool, report: &mut Report) {
    const RESTART: &str =
        "restart podhosts-apiserver or podhosts-node, whichever runs here: it makes the table anew";
    const LOAD: &str = "load the modules nf_tables, nft_chain_nat, nft_numgen, nft_fib_inet, nft_reject_inet and \
        nft_masq, take a kernel with them, or start podhosts-apiserver or podhosts-node with --proxy none";
    let mut table = match Table::open() {
        Ok(table) => table,
        Err(error) => return report.error(CHECK, error.to_string(), LOAD),
    };
    if !is_there {
        return match table.try_out() {
            Ok(()) => {
                let message = format!("the table {OUR_TABLE} is missing: Services lead nowhere");
                report.error(
                    CHECK,
                    message,
                    "start podhosts-apiserver or podhosts-node; its log says why there is none",
                );
            }
            Err(error) => report.error(CHECK, error.to_string(), LOAD),
        };
    }
    match table.read() {
        Ok(Present::Intact(elements)) => {
            report.ok(CHECK, format!("the table {OUR_TABLE} with {} elements", elements.len()));
        }
        Ok(Present::Different) => {
            let message =
                format!("the table {OUR_TABLE} is of another version, or was changed by another program");
            report.error(CHECK, message, RESTART);
        }
        Ok(Present::Absent) => {
            let message = format!("the table {OUR_TABLE} was removed just now");
            report.error(CHECK, message, RESTART);
        }
        Err(error) => report.error(CHECK, error.to_string(), "run podhosts doctor as the node's root"),
    }
}

/// Whether flows to endpoints that are gone can be forgotten.
fn tracking(report: &mut Report) {
    let listed = Conntrack::open().and_then(|mut conntrack| conntrack.for_each(|_| ()));
    if let Err(error) = listed {
        let message = format!("{error}; clients of UDP stay with endpoints that are gone");
        report.warning(CHECK, message, "load the module nf_conntrack_netlink");
    }
}

/// podhosts-node makes no table beside kube-proxy's rules.
fn waiting(traces: &[String], report: &mut Report) {
    let found = traces.join(" and ");
    let message = format!(
        "kube-proxy has made {found}: podhosts-node leads no connections to Services until that is gone"
    );
    let remedy = "stop kube-proxy and call kube-proxy --cleanup, or start podhosts-node with --proxy none";
    report.warning(CHECK, message, remedy);
}

fn other_proxy(traces: io::Result<Vec<String>>, report: &mut Report) {
    match traces {
        Ok(traces) if traces.is_empty() => {}
        Ok(traces) => {
            let found = traces.join(" and ");
            let message =
                format!("kube-proxy has made {found}: two programs lead connections to Services here");
            let remedy = "stop kube-proxy and call kube-proxy --cleanup, or start podhosts-apiserver or podhosts-node \
                          with --proxy none";
            report.warning(CHECK, message, remedy);
        }
        Err(cause) => {
            let message = format!("cannot look for kube-proxy's rules: {cause}");
            report.error(CHECK, message, "run podhosts doctor as the node's root");
        }
    }
}

fn firewall(chains: &[firewalls::Chain], report: &mut Report) {
    for chain in chains.iter().filter(|chain| chain.refuses_forwarding) {
        refuses(&format!("the chain {} of the table {}", chain.name, chain.table), report);
    }
}

fn refuses(chain: &str, report: &mut Report) {
    let message = format!("{chain} refuses forwarded packets that no rule of it accepts, also those to pods");
    let remedy = "accept packets from and to the pods' networks there: with Docker in the chain DOCKER-USER, with \
                  firewalld in the zone trusted; or set the policy to accept";
    report.warning(CHECK, message, remedy);
}

/// Looks at the tables of iptables-legacy, of which the kernel names those that somebody has used.
fn legacy(names: &Path, program: &'static str, report: &mut Report) {
    let used = text(names);
    let has = |table: &str| used.lines().any(|line| line == table);
    if !has("filter") && !has("nat") {
        return;
    }
    let Some(path) = exec::find_program(&[program.to_owned()]) else {
        return report.skipped(CHECK, format!("{program} is not on PATH: its rules were not looked at"));
    };
    if has("filter") && listed(&path, &["-S", "FORWARD"]).lines().any(|line| line == "-P FORWARD DROP") {
        refuses(&format!("the chain FORWARD of {program}"), report);
    }
}

/// A file's text; nothing if it cannot be read.
fn text(path: &Path) -> String {
    let read = files::read(path, TEXT_MAX, LastLink::Follow).unwrap_or_default();
    String::from_utf8_lossy(&read).into_owned()
}

/// What the program prints; nothing if it fails.
fn listed(program: &Path, args: &[&str]) -> String {
    let run = programs::run(program, args, &[], b"", PATIENCE).ok().filter(|run| run.status.success());
    run.map(|run| String::from_utf8_lossy(&run.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_on_unless_its_flags_switch_it_off() {
        for off in
            ["PODHOSTS_APISERVER_FLAGS=\"--proxy=none\"", "FLAGS='--v 4 --proxy none'", "FLAGS=--proxy=none"]
        {
            assert!(is_off(off), "{off}");
        }
        for on in ["", "FLAGS=--proxy=nftables", "# FLAGS=--proxy=none", "FLAGS='--proxy nftables --x none'"]
        {
            assert!(!is_off(on), "{on}");
        }
    }
}
