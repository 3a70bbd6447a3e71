//! What a call asks for: one type for each command and role, which has everything that the command needs. It is made
//! before anything is touched, so that a request that cannot be met changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::document::{Document, Network};
use super::ipam_config::IpamConfig;
use super::main_config::MainConfig;
use super::roles::Role;
use super::runtime_config::{self, RuntimeConfig};
use crate::ipam::ranges::RangeSet;
use crate::protocol::environment::{Command, Parameters};
use crate::protocol::error::CniError;
use crate::protocol::result::{CniResult, Dns};
use crate::protocol::version::Version;
use records::attachment::{Filter, Holder};

/// A request that was checked.
#[derive(Debug)]
pub enum Request {
    /// ADD of the main role.
    AddMain(Box<AddMain>),
    /// ADD of the ipam role.
    AddIpam(Box<AddIpam>),
    /// ADD of the chained role.
    AddChained(AddChained),
    /// DEL.
    Del(Del),
    /// CHECK of the main role.
    CheckMain(Box<CheckMain>),
    /// CHECK of the ipam role.
    CheckIpam(CheckIpam),
    /// CHECK of the chained role.
    CheckChained(CheckChained),
    /// GC.
    Gc(Gc),
    /// STATUS of the main and the ipam role.
    Status(Status),
    /// VERSION.
    Version,
    /// The configuration turns the command off, or its role has nothing to do for it.
    Nothing,
}

/// Where the DNS settings of the result are.
#[derive(Debug)]
pub enum DnsSource {
    /// In the request itself.
    Given(Dns),
    /// In this resolv.conf.
    ResolvConf(PathBuf),
}

/// ADD of the main role: addresses and the interface.
#[derive(Debug)]
pub struct AddMain {
    pub(crate) network: Network,
    pub(crate) version: Version,
    /// What the runtime asked in the environment.
    pub parameters: Parameters,
    /// The settings of the runtime for this pod.
    pub runtime: RuntimeConfig,
    pub(crate) config: MainConfig,
    /// The addresses to choose from.
    pub ipam: IpamConfig,
    pub(crate) dns: DnsSource,
    /// What the pod needs of the packet filter.
    pub(crate) filter: Option<Filter>,
}

/// ADD of the ipam role: addresses only.
#[derive(Debug)]
pub struct AddIpam {
    pub(crate) network: Network,
    pub(crate) version: Version,
    /// What the runtime asked in the environment.
    pub parameters: Parameters,
    /// The settings of the runtime for this pod.
    pub runtime: RuntimeConfig,
    /// The addresses to choose from.
    pub ipam: IpamConfig,
    pub(crate) dns: DnsSource,
}

/// ADD of the chained role: the record.
#[derive(Debug)]
pub struct AddChained {
    pub(crate) network: Network,
    pub(crate) parameters: Parameters,
    pub(crate) annotations: BTreeMap<String, String>,
    /// The pod's addresses in `prevResult`.
    pub addresses: Vec<IpAddr>,
    /// `prevResult`, which is the result.
    pub result: Value,
}

/// DEL of any role.
#[derive(Debug)]
pub struct Del {
    pub(crate) network: Network,
    pub(crate) role: Role,
    pub(crate) holder: Holder,
}

/// CHECK of the main role.
#[derive(Debug)]
pub struct CheckMain {
    pub(crate) network: Network,
    pub(crate) parameters: Parameters,
    pub(crate) config: MainConfig,
    pub(crate) filter: Option<Filter>,
    pub(crate) previous: CniResult,
}

/// CHECK of the ipam role.
#[derive(Debug)]
pub struct CheckIpam {
    pub(crate) network: Network,
    pub(crate) holder: Holder,
    pub(crate) previous: CniResult,
}

/// CHECK of the chained role.
#[derive(Debug)]
pub struct CheckChained {
    pub(crate) network: Network,
    pub(crate) parameters: Parameters,
    /// The pod's addresses in `prevResult`.
    pub(crate) addresses: Vec<IpAddr>,
}

/// GC of any role.
#[derive(Debug)]
pub struct Gc {
    pub(crate) network: Network,
    pub(crate) role: Role,
    /// The attachments to keep, sorted; `None` where the runtime gave no list.
    pub(crate) valid: Option<Vec<Holder>>,
}

/// STATUS of the roles that give addresses out.
#[derive(Debug)]
pub struct Status {
    pub(crate) network: Network,
    pub(crate) sets: Vec<RangeSet>,
}

impl Request {
    /// Checks everything that `command` needs.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn read(command: Command, parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let network = document.network.clone();
        Ok(match (command, document.role) {
            (Command::Version, _) => Self::Version,
            (Command::Add, Role::Main) => Self::AddMain(Box::new(AddMain::read(parameters, document)?)),
            (Command::Add, Role::Ipam) => Self::AddIpam(Box::new(AddIpam::read(parameters, document)?)),
            (Command::Add, Role::Chained) => Self::AddChained(AddChained::read(parameters, document)?),
            (Command::Del, role) => Self::Del(Del { network, role, holder: parameters.holder() }),
            (Command::Check, _) if document.is_set("disableCheck") => Self::Nothing,
            (Command::Check, Role::Main) => Self::CheckMain(Box::new(CheckMain::read(parameters, document)?)),
            (Command::Check, Role::Ipam) => Self::CheckIpam(CheckIpam::read(&parameters, document)?),
            (Command::Check, Role::Chained) => Self::CheckChained(CheckChained::read(parameters, document)?),
            (Command::Gc, _) if document.is_set("disableGC") => Self::Nothing,
            (Command::Gc, role) => Self::Gc(Gc { network, role, valid: document.valid_attachments()? }),
            (Command::Status, Role::Chained) => Self::Nothing,
            (Command::Status, role) => {
                let runtime = RuntimeConfig::read(document, &parameters.args)?;
                if role == Role::Main {
                    MainConfig::read(document)?;
                }
                Self::Status(Status { network, sets: IpamConfig::read(document, &runtime)?.sets })
            }
        })
    }
}

impl DnsSource {
    /// The runtime's settings, else the network's, else those of `ipam.resolvConf`.
    fn read(document: &Document, runtime: &RuntimeConfig, ipam: &IpamConfig) -> Result<Self, CniError> {
        if let Some(dns) = &runtime.dns {
            return Ok(Self::Given(dns.clone()));
        }
        Ok(match (document.dns()?, &ipam.resolv_conf) {
            (Some(dns), _) => Self::Given(dns),
            (None, Some(path)) => Self::ResolvConf(path.clone()),
            (None, None) => Self::Given(Dns::default()),
        })
    }
}

impl AddMain {
    fn read(parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let runtime = RuntimeConfig::read(document, &parameters.args)?;
        let config = MainConfig::read(document)?;
        let ipam = IpamConfig::read(document, &runtime)?;
        config.check_mtu(&ipam)?;
        if document.prev_result()?.is_some() {
            let msg = "prevResult: there is one, expected this plugin to be the first of its list, or to have no ipam";
            return Err(CniError::config(msg));
        }
        let dns = DnsSource::read(document, &runtime, &ipam)?;
        let filter = config.filter(&ipam, &runtime);
        let (network, version) = (document.network.clone(), document.version);
        Ok(Self { network, version, parameters, runtime, config, ipam, dns, filter })
    }
}

impl AddIpam {
    fn read(parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let runtime = RuntimeConfig::read(document, &parameters.args)?;
        let ipam = IpamConfig::read(document, &runtime)?;
        let dns = DnsSource::read(document, &runtime, &ipam)?;
        let (network, version) = (document.network.clone(), document.version);
        Ok(Self { network, version, parameters, runtime, ipam, dns })
    }
}

impl AddChained {
    fn read(parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let annotations = runtime_config::annotations(document)?;
        let missing =
            "prevResult: missing, expected this plugin behind another one, or ipam in its configuration";
        let previous = document.previous()?.ok_or_else(|| CniError::config(missing))?;
        Ok(Self {
            network: document.network.clone(),
            addresses: previous.addresses_of(&parameters.ifname),
            parameters,
            annotations,
            result: document.raw_prev_result(),
        })
    }
}

fn no_result() -> CniError {
    CniError::config("prevResult: missing, expected the result of ADD")
}

impl CheckMain {
    fn read(parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let runtime = RuntimeConfig::read(document, &parameters.args)?;
        let previous = document.prev_result()?.ok_or_else(no_result)?;
        let config = MainConfig::read(document)?;
        let filter = config.filter(&IpamConfig::read(document, &runtime)?, &runtime);
        Ok(Self { network: document.network.clone(), parameters, config, filter, previous })
    }
}

impl CheckIpam {
    fn read(parameters: &Parameters, document: &Document) -> Result<Self, CniError> {
        let runtime = RuntimeConfig::read(document, &parameters.args)?;
        let previous = document.prev_result()?.ok_or_else(no_result)?;
        IpamConfig::read(document, &runtime)?;
        Ok(Self { network: document.network.clone(), holder: parameters.holder(), previous })
    }
}

impl CheckChained {
    fn read(parameters: Parameters, document: &Document) -> Result<Self, CniError> {
        let previous = document.previous()?.ok_or_else(no_result)?;
        let addresses = previous.addresses_of(&parameters.ifname);
        Ok(Self { network: document.network.clone(), parameters, addresses })
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
