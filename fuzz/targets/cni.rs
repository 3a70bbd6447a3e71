//! What the CNI plugin reads.

use podhosts::cni::config::Document;
use podhosts::cni::environment::{Command, Parameters};
use podhosts::cni::main_config::MainConfig;
use podhosts::cni::result::{CniResult, Dns};
use podhosts::cni::runtime_config::RuntimeConfig;
use podhosts::cni::version::Version;
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

/// A configuration, read for each command as the plugin reads it; what is answered can be read by others.
pub(super) fn config(data: &[u8]) {
    let args = parameters("IP=10.244.1.9").map(|parameters| parameters.args).unwrap_or_default();
    for command in COMMANDS {
        let Ok(document) = Document::parse(data, command) else { continue };
        assert!(!document.name.contains('/') && !document.name.starts_with('.'), "{}", document.name);
        let _ =
            (MainConfig::read(&document), document.dns(), document.valid_attachments(), document.previous());
        if let Ok(runtime) = RuntimeConfig::read(&document, &args)
            && let Ok(ipam) = document.ipam(&runtime)
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
