//! The endpoints in the row of a table (`formatEndpoints` in `pkg/printers/internalversion/printers.go`).

use serde_json::Value;

use super::rules::list;
use crate::object::Object;

/// How many endpoints a row shows.
const SHOWN: usize = 3;

/// The first endpoints, and how many more there are.
pub(super) fn endpoints(object: &Object) -> String {
    let subsets = list(object.0.get("subsets"));
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut shown: Vec<String> = Vec::new();
    let mut count = 0;
    for subset in subsets {
        let (addresses, ports) = (list(subset.get("addresses")), list(subset.get("ports")));
        let ips = || addresses.iter().filter_map(|address| address["ip"].as_str());
        // Services without a cluster IP may have no ports.
        count += addresses.len() * ports.len().max(1);
        let room = SHOWN - shown.len();
        if ports.is_empty() {
            shown.extend(ips().take(room).map(str::to_owned));
        } else {
            let all = ports.iter().flat_map(|port| ips().map(|ip| with_port(ip, port)));
            shown.extend(all.take(room));
        }
    }
    let text = shown.join(",");
    if count > SHOWN { format!("{text} + {} more...", count - SHOWN) } else { text }
}

fn with_port(ip: &str, port: &Value) -> String {
    let port = port["port"].as_i64().unwrap_or_default();
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}
