//! What the CNI plugin reads.

use std::collections::BTreeMap;
use std::net::IpAddr;

use podhosts_cni::config::document::Document;
use podhosts_cni::config::ipam_config::IpamConfig;
use podhosts_cni::config::main_config::MainConfig;
use podhosts_cni::config::request::Request;
use podhosts_cni::config::runtime_config::RuntimeConfig;
use podhosts_cni::ipam::allocate::Allocated;
use podhosts_cni::ipam::book::Book;
use podhosts_cni::protocol::environment::{Command, Parameters};
use podhosts_cni::protocol::error::CniError;
use podhosts_cni::protocol::result::{CniResult, Dns};
use podhosts_cni::protocol::version::Version;
use serde_json::Value;

use super::text;

const COMMANDS: [Command; 6] =
    [Command::Add, Command::Del, Command::Check, Command::Gc, Command::Status, Command::Version];

fn parameters(args: &str) -> Option<Parameters> {
    let variable = |name: &str| {
        Some(match name {
            "CNI_CONTAINERID" => "abc".to_owned(),
            "CNI_NETNS" => "/run/netns/abc".to_owned(),
            "CNI_IFNAME" => "eth0".to_owned(),
            "CNI_ARGS" => args.to_owned(),
            _ => return None,
        })
    };
    Parameters::read(Command::Add, variable).ok()
}

/// A configuration, read for each command as the plugin reads it; the answer can be read by others.
pub(super) fn config(data: &[u8]) {
    let Some(parameters) = parameters("IP=10.244.1.9") else { return };
    let args = &parameters.args;
    for command in COMMANDS {
        let Ok(document) = Document::parse(data, command) else { continue };
        let name = &document.network.name;
        assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
        let _ = Request::read(command, parameters.clone(), &document);
        let _ =
            (MainConfig::read(&document), document.dns(), document.valid_attachments(), document.previous());
        if let Ok(runtime) = RuntimeConfig::read(&document, args)
            && let Ok(ipam) = IpamConfig::read(&document, &runtime)
        {
            assert!(!ipam.sets.is_empty());
        }
        let Ok(Some(result)) = document.prev_result() else { continue };
        assert!(document.raw_prev_result().is_object());
        let _ = result.addresses_of("eth0");
        let written = result.to_json(document.version);
        let read: CniResult = serde_json::from_value(written.clone()).expect("is read again");
        assert_eq!(read.ips, result.ips, "{written}");
        let newest: Value = result.to_json(Version::V1_1_0);
        assert_eq!(serde_json::from_value::<CniResult>(newest).ok().as_ref(), Some(&result));
    }
}

/// `CNI_ARGS`, the command's name and names of things, and a resolv.conf.
pub(super) fn environment(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let _ = (parameters(text), Command::parse(text), Dns::parse_resolv_conf(text));
    for name in ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"] {
        let variable = |asked: &str| Some(if asked == name { text.to_owned() } else { "a".to_owned() });
        for command in COMMANDS {
            if let Ok(read) = Parameters::read(command, variable)
                && matches!(command, Command::Add | Command::Del | Command::Check)
            {
                assert!(!read.container_id.contains('/') && !read.ifname.contains(['/', '\0']));
            }
        }
    }
}

/// A whole ADD up to where the network is touched: lines of the environment, an empty line, and standard input. An ADD that
/// gets so far takes addresses out of its own ranges, the requested ones among them.
pub(super) fn add(data: &[u8]) {
    let Some(end) = data.windows(2).position(|bytes| bytes == b"\n\n") else { return };
    let (Some(lines), stdin) = (text(&data[..end]), &data[end + 2..]) else { return };
    let variables: BTreeMap<&str, &str> = lines.lines().filter_map(|line| line.split_once('=')).collect();
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    match checked(variable, stdin) {
        Ok(Request::AddMain(add)) => take(&add.parameters, &add.runtime, &add.ipam),
        Ok(Request::AddIpam(add)) => take(&add.parameters, &add.runtime, &add.ipam),
        Ok(Request::AddChained(add)) => {
            let ips = add.result["ips"].as_array().map_or(0, Vec::len);
            assert!(add.addresses.len() <= ips, "{:?} of {}", add.addresses, add.result);
        }
        Ok(other) => panic!("ADD became {other:?}"),
        Err(error) => {
            let told = error.to_json("1.1.0");
            assert!(
                told["code"].is_u64() && told["msg"].as_str().is_some_and(|msg| !msg.is_empty()),
                "{told}"
            );
        }
    }
}

fn checked(variable: impl Fn(&str) -> Option<String>, stdin: &[u8]) -> Result<Request, CniError> {
    let parameters = Parameters::read(Command::Add, variable)?;
    assert!(!parameters.container_id.contains('/') && !parameters.ifname.contains(['/', '\0']));
    let document = Document::parse(stdin, Command::Add)?;
    Request::read(Command::Add, parameters, &document)
}

fn take(parameters: &Parameters, runtime: &RuntimeConfig, ipam: &IpamConfig) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut book = Book::open(dir.path(), "boot").expect("a new one is made");
    let holder = parameters.holder();
    let Ok((taken, ())) = book.take(&holder, &ipam.sets, &runtime.ips, |_| Ok(())) else { return };
    assert_eq!(taken.len(), ipam.sets.len());
    for (Allocated { address, gateway }, set) in taken.iter().zip(&ipam.sets) {
        let found = set.ranges.iter().find(|range| (range.first..=range.last).contains(&address.addr()));
        let range = found.unwrap_or_else(|| panic!("{address} is in none of {set:?}"));
        assert!(
            range.subnet.contains(&address.addr()) && address.addr() != range.gateway,
            "{address} {range:?}"
        );
        assert_eq!((address.prefix_len(), *gateway), (range.subnet.prefix_len(), range.gateway));
    }
    let addresses: Vec<IpAddr> = taken.iter().map(|one| one.address.addr()).collect();
    assert!(runtime.ips.iter().all(|ip| addresses.contains(ip)), "{:?} of {addresses:?}", runtime.ips);
    assert_eq!(book.held(&holder).expect("can be asked"), addresses);
    assert_eq!(book.release(&holder).expect("can be released").len(), addresses.len());
}
