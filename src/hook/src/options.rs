//! The hook's command line. The runtime passes it from hooks.d or from the wrapper, never from a pod.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process;

use super::PROGRAM;
use container::node_config::CONFIG_PATH;
use container::programs::{CONFIG_JSON_FLAG, KUBELET_HOSTS_FLAG, NRI_POD_IPS_FLAG};
use sys::report::ExitCode;

const USAGE: &str = "\
usage: podhosts-hook [--config FILE] [--kubelet-hosts FILE] [--config-json FILE] [--nri-pod-ips IPS] < state.json

The OCI createRuntime hook of podhosts: reads the container's state on stdin and seals its pod's hosts file.

  --config FILE          the node's configuration (default /etc/podhosts/config.toml)
  --kubelet-hosts FILE   the kubelet's hosts file for the pod, where its mount is not in config.json any more
  --config-json FILE     the bundle's configuration (default: config.json in the bundle)
  --nri-pod-ips IPS      the pod's addresses as the engine told podhosts nri, separated by commas
  --version, --help

exit codes: 0 sealed, skipped, or let through by on-error = \"open\"; 1 not sealed; 2 wrong command line or
configuration; 70 internal error";

/// The options on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The node's configuration.
    pub config: PathBuf,
    /// The kubelet's file for the pod, if the wrapper took its mount out of config.json.
    pub kubelet_hosts: Option<PathBuf>,
    /// The bundle's configuration, if it is not config.json.
    pub config_json: Option<PathBuf>,
    /// The pod's addresses as the engine told the NRI plugin, not checked yet.
    pub nri_pod_ips: Vec<String>,
}

/// The answer to a command line that does not run the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Asked for.
    Text(String),
    /// A wrong command line.
    Wrong(String),
}

impl Options {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    /// [`Answer`] for help, version and a wrong command line.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Answer> {
        let mut options = Self {
            config: CONFIG_PATH.into(),
            kubelet_hosts: None,
            config_json: None,
            nri_pod_ips: Vec::new(),
        };
        let mut args = args.into_iter();
        while let Some(flag) = args.next() {
            let flag = flag.to_string_lossy();
            let mut value = || {
                let value =
                    args.next().ok_or_else(|| Answer::Wrong(format!("option {flag} needs a value")))?;
                Ok(PathBuf::from(value))
            };
            match &*flag {
                "--config" => options.config = value()?,
                KUBELET_HOSTS_FLAG => options.kubelet_hosts = Some(value()?),
                CONFIG_JSON_FLAG => options.config_json = Some(value()?),
                NRI_POD_IPS_FLAG => {
                    let ips = value()?;
                    options.nri_pod_ips.extend(ips.to_string_lossy().split(',').map(str::to_owned));
                }
                "--help" | "-h" => return Err(Answer::Text(USAGE.to_owned())),
                "--version" | "-V" => {
                    return Err(Answer::Text(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))));
                }
                other => return Err(Answer::Wrong(format!("unknown option {other:?}, see --help"))),
            }
        }
        Ok(options)
    }
}

impl Answer {
    /// Prints it; returns the exit code.
    pub fn give(self) -> process::ExitCode {
        match self {
            Self::Text(text) => {
                let _ = writeln!(std::io::stdout(), "{text}");
                ExitCode::Success.into()
            }
            Self::Wrong(message) => {
                super::refuse(&format!("cannot read the hook's command line: {message}")).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Answer> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn all_options() {
        assert_eq!(parse("").unwrap().config, PathBuf::from(CONFIG_PATH));
        let all =
            parse("--config /c --kubelet-hosts /k --config-json /j --nri-pod-ips 10.0.0.1,::2").unwrap();
        assert_eq!(all.nri_pod_ips, ["10.0.0.1", "::2"]);
        let repeated = parse("--nri-pod-ips 10.0.0.1 --nri-pod-ips ::2").unwrap();
        assert_eq!(repeated.nri_pod_ips, all.nri_pod_ips);
        assert_eq!((all.config, all.kubelet_hosts), ("/c".into(), Some("/k".into())));
        assert!(matches!(parse("--version"), Err(Answer::Text(text)) if text.starts_with("podhosts-hook ")));
        for wrong in ["--config", "createRuntime", "--conf x"] {
            assert!(matches!(parse(wrong), Err(Answer::Wrong(_))), "{wrong}");
        }
    }
}
