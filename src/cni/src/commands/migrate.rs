//! `podhosts-cni migrate`: takes over the addresses that host-local has given out, so that running pods keep theirs
//! when `ipam.type` is changed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::document::NAME_MAX;
use crate::ipam::book::Book;
use crate::protocol::answer::Answer;
use crate::protocol::environment::{CONTAINER_ID_MAX, is_name};
use records::attachment::{ATTACHMENT_VERSION, Attachment, Holder};
use records::directory;
use records::stores;
use records::{DATA_DIR, PLUGIN};
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir::{self, LockKind};
use sys::report::ExitCode;

/// The default directory of host-local's files.
const HOST_LOCAL_DIR: &str = "/var/lib/cni/networks";
/// Largest file of host-local that is read, in bytes: it has two names.
const FILE_MAX: usize = 4096;
const USAGE: &str = "usage: podhosts-cni migrate [--from DIR] [--data-dir DIR] NETWORK";

/// The command line of `migrate`.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    from: PathBuf,
    data_dir: PathBuf,
    network: String,
}

/// Runs `migrate` with its arguments.
pub(crate) fn run(args: &[String]) -> Answer {
    match Options::parse(args) {
        Err(message) => Answer { stdout: String::new(), stderr: vec![message], code: ExitCode::Usage },
        Ok(options) => match options.migrate() {
            Ok((summary, skipped)) => Answer { stdout: summary, stderr: skipped, code: ExitCode::Success },
            Err(error) => Answer { stdout: String::new(), stderr: vec![error], code: ExitCode::Failure },
        },
    }
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let (mut from, mut data_dir, mut network) = (HOST_LOCAL_DIR.into(), DATA_DIR.into(), None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("option {arg} needs a value; {USAGE}"));
            match arg.as_str() {
                "--from" => from = PathBuf::from(value()?),
                "--data-dir" => data_dir = absolute(value()?)?,
                name if network.is_none() && is_name(name, NAME_MAX) => network = Some(name.to_owned()),
                other => return Err(format!("cannot use argument {other:?}; {USAGE}")),
            }
        }
        let network = network.ok_or_else(|| format!("the network's name is missing; {USAGE}"))?;
        Ok(Self { from, data_dir, network })
    }

    /// Takes over what was not taken over before; gives a summary and what was skipped.
    fn migrate(&self) -> Result<(String, Vec<String>), String> {
        let theirs = self.from.join(&self.network);
        if !theirs.is_dir() {
            return Err(format!(
                "cannot read {}: there is no such directory of host-local's",
                theirs.display()
            ));
        }
        let text = |error: files::FileError| error.to_string();
        // host-local takes this lock, too, so nothing changes meanwhile.
        let _lock = state_dir::lock(&theirs.join("lock"), LockKind::Exclusive).map_err(text)?;
        let mut skipped = Vec::new();
        let holders = read(&theirs, &mut skipped)?;
        let dir = self.data_dir.join(&self.network);
        if self.data_dir != Path::new(DATA_DIR) {
            stores::register(&dir).map_err(|error| error.to_string())?;
        }
        let boot_id = sys::boot_id().map_err(text)?;
        let mut book = Book::open(&dir, &boot_id).map_err(|error| error.to_string())?;
        let known = book.holders().map_err(|error| error.to_string())?;
        let (already, new): (Vec<_>, Vec<_>) =
            holders.into_iter().partition(|(holder, _)| known.binary_search(holder).is_ok());
        book.enter(&new).map_err(|error| format!("cannot take over {}: {error}", theirs.display()))?;
        for (holder, addresses) in &new {
            directory::keep(&dir, &attachment(&boot_id, holder, addresses)).map_err(text)?;
        }
        skipped.append(&mut book.notices);
        let network = &self.network;
        let (new, already) = (new.len(), already.len());
        Ok((format!("{network}: attachments taken over: {new}, here already: {already}"), skipped))
    }
}

/// Refuses a relative path: for the plugin, which runs in the runtime's directory, it would be another one.
fn absolute(path: &str) -> Result<PathBuf, String> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    Err(format!("cannot use --data-dir {path:?}: expected an absolute path; {USAGE}"))
}

fn attachment(boot_id: &str, holder: &Holder, addresses: &[IpAddr]) -> Attachment {
    Attachment {
        version: ATTACHMENT_VERSION,
        container_id: holder.container.clone(),
        ifname: holder.ifname.clone(),
        // host-local does not know it.
        netns: String::new(),
        netns_id: None,
        boot_id: boot_id.to_owned(),
        mac: None,
        host_interface: None,
        addresses: addresses.to_vec(),
        has_rules: false,
        filter: None,
    }
}

/// The holders of addresses. IPv4 comes first, since host-local does not record the order.
fn read(dir: &Path, skipped: &mut Vec<String>) -> Result<BTreeMap<Holder, Vec<IpAddr>>, String> {
    let mut holders: BTreeMap<Holder, Vec<IpAddr>> = BTreeMap::new();
    for name in state_dir::names(dir).map_err(|error| error.to_string())? {
        let Ok(address) = name.parse::<IpAddr>() else { continue };
        let path = dir.join(&name);
        let text = files::read(&path, FILE_MAX, LastLink::Refuse).map_err(|error| error.to_string())?;
        match holder_in(&String::from_utf8_lossy(&text)) {
            Some(holder) => holders.entry(holder).or_default().push(address),
            None => skipped.push(format!("skipped {}: nobody is named in it", path.display())),
        }
    }
    holders.values_mut().for_each(|addresses| addresses.sort_unstable());
    Ok(holders)
}

/// `<container id>\r\n<interface>`; early versions wrote the id only.
fn holder_in(text: &str) -> Option<Holder> {
    let mut lines = text.lines().map(str::trim);
    let container = lines.next().filter(|id| is_name(id, CONTAINER_ID_MAX))?.to_owned();
    let ifname = lines.next().filter(|name| !name.is_empty() && !name.contains(['/', ':'])).unwrap_or("eth0");
    Some(Holder { container, ifname: ifname.to_owned() })
}

/// The help for a person who runs the program.
pub(crate) fn usage() -> String {
    format!(
        "{USAGE}: takes over what host-local has given out; serve, backup and restore are Kubernetes' API, and have a \
         --help; everything else about {PLUGIN} is CNI"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Result<Options, String> {
        Options::parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line() {
        let options = args(&["--from", "/a", "net", "--data-dir", "/b"]).unwrap();
        assert_eq!(options, Options { from: "/a".into(), data_dir: "/b".into(), network: "net".into() });
        for wrong in
            [&[][..], &["--from"], &["a", "b"], &["../x"], &["--what", "net"], &["--data-dir", "b", "net"]]
        {
            assert!(args(wrong).unwrap_err().contains("usage: "), "{wrong:?}");
        }
    }

    #[test]
    fn who_is_named_in_a_file() {
        let holder = holder_in("c1\r\neth1").unwrap();
        assert_eq!((holder.container.as_str(), holder.ifname.as_str()), ("c1", "eth1"));
        assert_eq!(holder_in("c1 ").unwrap().ifname, "eth0");
        assert!(holder_in("").is_none() && holder_in("../x").is_none());
    }
}
