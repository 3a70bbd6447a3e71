//! What kube-proxy has in a network namespace. Where it leads connections to Services, no other program must.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::firewalls;
use super::rtnetlink::RouteSocket;
use crate::fs::files::{self, LastLink};
use crate::process::{exec, programs};

/// Its tables in its mode nftables, its chain in its mode iptables, and its interface in its mode ipvs.
const TABLES: [&str; 2] = ["ip kube-proxy", "ip6 kube-proxy"];
const CHAIN: &str = "KUBE-SERVICES";
const INTERFACE: &str = "kube-ipvs0";
/// iptables of the old kind, which nf_tables does not show: the kernel's list of its tables, and its program.
const LEGACY: [(&str, &str); 2] =
    [("/proc/net/ip_tables_names", "iptables-legacy"), ("/proc/net/ip6_tables_names", "ip6tables-legacy")];
/// Largest list of tables that is read, in bytes.
const NAMES_MAX: usize = 1 << 16;
/// How long iptables may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names what kube-proxy has in this thread's network namespace, such as `the table ip kube-proxy`. A chain of
/// iptables-legacy is found only where that program is.
///
/// # Errors
/// The kernel's answer.
pub fn traces() -> io::Result<Vec<String>> {
    let tables = firewalls::tables()?.into_iter().filter(|table| TABLES.contains(&table.as_str()));
    let mut found: Vec<String> = tables.map(|table| format!("the table {table}")).collect();
    let link = RouteSocket::here().and_then(|mut route| route.link(INTERFACE));
    found.extend(link.is_ok_and(|link| link.is_some()).then(|| format!("the interface {INTERFACE}")));
    let chain = firewalls::chains()?.into_iter().find(|chain| chain.name == CHAIN);
    found.extend(chain.map(|chain| format!("the chain {CHAIN} of the table {}", chain.table)));
    let legacy = LEGACY.into_iter().filter(|(names, program)| has_chain(Path::new(names), program));
    found.extend(legacy.map(|(_, program)| format!("the chain {CHAIN} of {program}")));
    Ok(found)
}

/// Whether `program` lists the chain in its table nat. To ask makes the kernel load the table, so only one in use is asked for.
fn has_chain(names: &Path, program: &str) -> bool {
    let used = files::read(names, NAMES_MAX, LastLink::Follow).unwrap_or_default();
    if !String::from_utf8_lossy(&used).lines().any(|name| name == "nat") {
        return false;
    }
    let Some(program) = exec::find_program(&[program.to_owned()]) else { return false };
    let run = programs::run(&program, &["-t", "nat", "-S", CHAIN], &[], b"", PATIENCE);
    run.is_ok_and(|run| run.status.success() && !run.stdout.is_empty())
}
