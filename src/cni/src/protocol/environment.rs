//! The parameters of a call: `CNI_*` in the environment.

use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;

use super::addresses::parse_ip;
use super::error::{CniError, Code};
use records::attachment::Holder;
use sys::net::rtnetlink::Mac;

/// A command of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Attach a container to the network.
    Add,
    /// Detach it.
    Del,
    /// Check that it is still attached.
    Check,
    /// Detach everything that the runtime no longer knows.
    Gc,
    /// Tell whether ADD can be served.
    Status,
    /// Tell the supported versions.
    Version,
}

/// The parameters of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `CNI_CONTAINERID`; empty for commands without one.
    pub container_id: String,
    /// `CNI_NETNS`; may be empty.
    pub(crate) netns: PathBuf,
    /// `CNI_IFNAME`; empty for commands without one.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: Args,
    /// `CNI_NETNS_OVERRIDE`: whether the namespace may be the node's own.
    pub(crate) netns_override: bool,
}

/// The pairs of `CNI_ARGS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// `IP`: requested addresses, separated by commas.
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) mac: Option<Mac>,
    pub(crate) pod_namespace: String,
    /// `K8S_POD_NAME`; may be empty. `None` where the runtime knows of no pod.
    pub(crate) pod_name: Option<String>,
    pub(crate) pod_uid: String,
}

/// Longest container id, in bytes, as for the names of records. Engines make ids of 64.
pub(crate) const CONTAINER_ID_MAX: usize = 128;
/// Longest name of an interface, in bytes: `IFNAMSIZ` less its NUL.
pub(crate) const IFNAME_MAX: usize = 15;

impl Command {
    /// Reads `CNI_COMMAND`.
    ///
    /// # Errors
    /// A command that no CNI specification has.
    pub fn parse(name: &str) -> Result<Self, CniError> {
        match name {
            "ADD" => Ok(Self::Add),
            "DEL" => Ok(Self::Del),
            "CHECK" => Ok(Self::Check),
            "GC" => Ok(Self::Gc),
            "STATUS" => Ok(Self::Status),
            "VERSION" => Ok(Self::Version),
            other => Err(environment(format!("unknown CNI_COMMAND: {other}"))),
        }
    }

    /// The variables that must be set.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Self::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Self::Gc | Self::Status | Self::Version => &[],
        }
    }
}

impl Parameters {
    /// Reads what `command` needs from the environment.
    ///
    /// # Errors
    /// [`CniError`] naming the variable.
    pub fn read(command: Command, variable: impl Fn(&str) -> Option<String>) -> Result<Self, CniError> {
        let value = |name: &str| variable(name).unwrap_or_default();
        let missing: Vec<&str> =
            command.required().iter().copied().filter(|name| value(name).is_empty()).collect();
        if !missing.is_empty() {
            return Err(environment(format!("required env variables [{}] missing", missing.join(","))));
        }
        let (container_id, ifname) = (value("CNI_CONTAINERID"), value("CNI_IFNAME"));
        if command.required().contains(&"CNI_CONTAINERID") {
            check_container_id(&container_id)?;
            check_ifname(&ifname)?;
        }
        // DEL must succeed with any arguments.
        let args =
            if matches!(command, Command::Add | Command::Check) { value("CNI_ARGS") } else { String::new() };
        Ok(Self {
            container_id,
            netns: value("CNI_NETNS").into(),
            ifname,
            args: Args::parse(&args)?,
            netns_override: is_true(&value("CNI_NETNS_OVERRIDE")),
        })
    }

    /// The holder of the attachment.
    pub fn holder(&self) -> Holder {
        Holder { container: self.container_id.clone(), ifname: self.ifname.clone() }
    }
}

impl Args {
    fn parse(text: &str) -> Result<Self, CniError> {
        let mut args = Self::default();
        let (mut ignore_unknown, mut unknown) = (false, Vec::new());
        for pair in pairs(text) {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                environment(format!("CNI_ARGS: {pair:?} is no pair, expected KEY=VALUE;KEY=VALUE"))
            })?;
            match key {
                "IgnoreUnknown" => ignore_unknown = is_true(value),
                "IP" | "MAC" if value.is_empty() => {}
                "IP" => args.ips = value.split(',').map(requested_ip).collect::<Result<_, _>>()?,
                "MAC" => {
                    let mac = value.parse();
                    args.mac =
                        Some(mac.map_err(|why| environment(format!("CNI_ARGS: MAC: {value:?}: {why}")))?);
                }
                "K8S_POD_NAMESPACE" => value.clone_into(&mut args.pod_namespace),
                "K8S_POD_NAME" => args.pod_name = Some(value.to_owned()),
                "K8S_POD_UID" => value.clone_into(&mut args.pod_uid),
                // The container id itself.
                "K8S_POD_INFRA_CONTAINER_ID" => {}
                other => unknown.push(other),
            }
        }
        if unknown.is_empty() || ignore_unknown {
            return Ok(args);
        }
        Err(environment(format!("CNI_ARGS: unknown args [{}], expected IgnoreUnknown=1", unknown.join(" "))))
    }
}

/// The pairs of `text`. The CRI allows any pod name, so a name may contain the semicolon that separates pairs: a piece
/// without `=` continues the pod's name, namespace or uid before it.
fn pairs(text: &str) -> impl Iterator<Item = &str> {
    let mut pairs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for piece in text.split(';') {
        let end = start + piece.len();
        match pairs.last_mut() {
            _ if piece.is_empty() => {}
            Some(last) if !piece.contains('=') && text[last.start..].starts_with("K8S_POD_") => {
                last.end = end
            }
            _ => pairs.push(start..end),
        }
        start = end + 1;
    }
    pairs.into_iter().map(|range| &text[range])
}

fn requested_ip(text: &str) -> Result<IpAddr, CniError> {
    parse_ip(text).ok_or_else(|| environment(format!("CNI_ARGS: IP: {text:?} is no IP address")))
}

fn environment(msg: String) -> CniError {
    CniError::new(Code::InvalidEnvironment, msg)
}

/// The values that Go's `strconv.ParseBool` calls true.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// Whether the specification allows `name` as a network name or container id.
pub(crate) fn is_name(name: &str, max: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    name.len() <= max
        && name.bytes().all(allowed)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

fn check_container_id(id: &str) -> Result<(), CniError> {
    if is_name(id, CONTAINER_ID_MAX) {
        return Ok(());
    }
    Err(environment(format!(
        "CNI_CONTAINERID: {id:?} is invalid, expected a letter or digit, then letters, digits, '_', '.' and '-', \
         at most {CONTAINER_ID_MAX}"
    )))
}

fn check_ifname(name: &str) -> Result<(), CniError> {
    let reason = if name.len() > IFNAME_MAX {
        "is too long, expected at most 15 bytes"
    } else if name == "." || name == ".." {
        "is invalid, expected neither . nor .."
    } else if name
        .bytes()
        .any(|b| matches!(b, b'/' | b':' | b'%') || b.is_ascii_whitespace() || b.is_ascii_control())
    {
        "is invalid, expected no '/', no ':', no '%' and no space"
    } else {
        return Ok(());
    };
    Err(environment(format!("CNI_IFNAME: {name:?} {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: Command, variables: &[(&str, &str)]) -> Result<Parameters, CniError> {
        Parameters::read(command, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const ADD: [(&str, &str); 3] =
        [("CNI_CONTAINERID", "c1"), ("CNI_NETNS", "/run/netns/x"), ("CNI_IFNAME", "eth0")];

    #[test]
    fn what_is_missing_is_named() {
        let error = read(Command::Add, &[("CNI_IFNAME", "eth0")]).unwrap_err();
        assert_eq!(error.msg, "required env variables [CNI_CONTAINERID,CNI_NETNS] missing");
        assert_eq!(error.code, Code::InvalidEnvironment);
        assert!(read(Command::Del, &[("CNI_CONTAINERID", "c1"), ("CNI_IFNAME", "eth0")]).is_ok());
        assert!(read(Command::Gc, &[]).is_ok());
        assert!(Command::parse("FOO").unwrap_err().msg.contains("unknown CNI_COMMAND: FOO"));
    }

    #[test]
    fn ids_and_interface_names_are_checked() {
        for (at, bad) in [
            (0, "../x"),
            (0, "a/b"),
            (0, ".a"),
            (0, "a:b"),
            (2, "a/b"),
            (2, ".."),
            (2, "sixteen-chars-xx"),
            (2, "a b"),
            (2, "a:b"),
        ] {
            let mut variables = ADD;
            variables[at].1 = bad;
            let error = read(Command::Add, &variables).unwrap_err();
            assert!(error.msg.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn args() {
        let with = |args: &str| {
            read(Command::Add, &[ADD[0], ADD[1], ADD[2], ("CNI_ARGS", args)])
                .map(|parameters| parameters.args)
        };
        let args = with(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web;K8S_POD_UID=u;X=y;IP=10.0.0.5/24,::5;\
             MAC=0a:58:00:00:00:01;K8S_POD_INFRA_CONTAINER_ID=s",
        )
        .unwrap();
        assert_eq!(
            (args.pod_namespace.as_str(), args.pod_name.as_deref(), args.pod_uid.as_str()),
            ("ns", Some("web"), "u")
        );
        assert_eq!(args.ips.len(), 2);
        assert_eq!(args.mac.unwrap().0[0], 0x0a);
        assert!(with("X=y").unwrap_err().msg.contains("unknown args [X]"));
        assert!(with("X").unwrap_err().msg.contains("KEY=VALUE"));
        assert!(with("IP=banana").unwrap_err().msg.contains("\"banana\" is no IP address"));
        assert!(with("MAC=01:00:00:00:00:00").unwrap_err().msg.contains("unicast"));
        for (args, name) in [
            ("K8S_POD_NAME=a;b;K8S_POD_UID=u", Some("a;b")),
            ("K8S_POD_NAMESPACE=n;K8S_POD_NAME=a b\n=c", Some("a b\n=c")),
            ("K8S_POD_NAME=a;b;c", Some("a;b;c")),
            ("K8S_POD_NAME=;b;", Some(";b")),
            ("K8S_POD_NAME=a;", Some("a")),
            ("K8S_POD_NAME=a;;b", Some("a;;b")),
            ("IgnoreUnknown=1;K8S_POD_NAME=a;b=c", Some("a")),
            ("K8S_POD_NAME=", Some("")),
            ("K8S_POD_NAMESPACE=n", None),
            ("", None),
        ] {
            assert_eq!(with(args).unwrap().pod_name.as_deref(), name, "{args:?}");
        }
        assert!(with("IP=10.0.0.5;b").unwrap_err().msg.contains("KEY=VALUE"));
        let del = [ADD[0], ADD[2], ("CNI_ARGS", "X")];
        assert!(read(Command::Del, &del).is_ok());
    }
}
