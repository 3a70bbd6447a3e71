//! `podhosts render` on the command line.

use std::io::stdin;
use std::path::Path;

use container::bundle::CONFIG_MAX;
use container::node_config::NODE_HOSTS_MAX;
use pod::Network;
use pod::validation::ip::IpRules;
use sys::fs::files::{self, FileError, LastLink};

use super::args::RenderArgs;
use crate::render::manifest::Manifest;

/// The hosts file, or errors, one for each line.
pub(super) fn run(args: &RenderArgs) -> Result<Vec<u8>, Vec<String>> {
    let file_error = |error: FileError| vec![error.to_string()];
    let text = if args.filename == Path::new("-") {
        files::read_stream(stdin().lock(), Path::new("stdin"), CONFIG_MAX, 4096)
    } else {
        files::read(&args.filename, CONFIG_MAX, LastLink::Follow)
    };
    let text = String::from_utf8(text.map_err(file_error)?)
        .map_err(|_| file_error(FileError::NotUtf8(args.filename.clone())))?;
    let manifest = Manifest::parse(&text)?;
    let network = if manifest.host_network {
        Network::Host(files::read(&args.node_hosts, NODE_HOSTS_MAX, LastLink::Follow).map_err(file_error)?)
    } else if args.pod_ip.is_empty() {
        Network::Pod(manifest.pod_ips)
    } else {
        Network::Pod(args.pod_ip.clone())
    };
    let rendered = manifest.pod.hosts_file(&network, &args.cluster_domain, IpRules::Strict);
    match network {
        // The kubelet gives such a pod no file at all.
        Network::Pod(ips) if ips.is_empty() => {
            let mut errors = rendered.err().unwrap_or_default();
            errors
                .push("status.podIPs: Required value: pass --pod-ip, or a Pod that has addresses".to_owned());
            Err(errors)
        }
        _ => rendered,
    }
}
