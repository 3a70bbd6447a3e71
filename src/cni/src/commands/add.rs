//! ADD: everything is checked, then addresses are taken, then the interface is made; what fails undoes all of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::commands::call::{Call, against_gc};
use crate::commands::del::{self, Remains};
use crate::commands::pod_record;
use crate::config::document::Ipam;
use crate::config::main_config::{MainConfig, Mode};
use crate::config::runtime_config::{self, RuntimeConfig};
use crate::interface::wiring::Wiring;
use crate::interface::{bridge, names, routed};
use crate::ipam::allocate::Allocated;
use crate::protocol::error::CniError;
use crate::protocol::result::{CniResult, Ip};
use records::attachment::{ATTACHMENT_VERSION, Attachment, Filter};
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft::{self, Rules};
use sys::net::rtnetlink::{Mac, Namespace, NamespaceId};

/// ADD of the main role: addresses and the interface.
pub(crate) fn main(call: &mut Call) -> Result<Value, CniError> {
    let runtime = RuntimeConfig::read(&call.document, &call.parameters.args)?;
    let config = MainConfig::read(&call.document)?;
    let ipam = call.document.ipam(&runtime)?;
    config.check_mtu(&ipam)?;
    if call.document.prev_result()?.is_some() {
        let msg =
            "prevResult: there is one, expected this plugin to be the first of its list, or to have no ipam";
        return Err(CniError::config(msg));
    }
    let dns = call.dns(&runtime, ipam.resolv_conf.as_deref())?;
    let node = Namespace::own()?;
    let (pod, netns_id) = call.pod_namespace(&node)?;
    let _no_gc = against_gc(&call.document.dir, LockKind::Shared)?;

    let name = names::host_interface(&call.document.name, &call.parameters.holder());
    let filter = config.filter(&ipam, &runtime);
    let (allocated, attachment) = take(call, &ipam, &runtime, Some(netns_id), Some(&name), filter)?;
    let mut remains = Remains { link: None, has_rules: false, has_record: false };
    let rules = attachment.and_then(|attachment| attachment.rules(&call.document.name));
    let wired = Wired { call, config: &config, ipam: &ipam, runtime: &runtime, allocated: &allocated, rules };
    match wired.connect(&pod, &node, &name, &mut remains) {
        Ok(result) => Ok(CniResult { dns, ..result }.to_json(call.document.version)),
        Err(error) => Err(undone(call, &remains, error)),
    }
}

/// ADD of the ipam role: addresses only.
pub(crate) fn ipam(call: &mut Call) -> Result<Value, CniError> {
    let runtime = RuntimeConfig::read(&call.document, &call.parameters.args)?;
    let ipam = call.document.ipam(&runtime)?;
    let dns = call.dns(&runtime, ipam.resolv_conf.as_deref())?;
    let _no_gc = against_gc(&call.document.dir, LockKind::Shared)?;
    // Where the namespace cannot be looked at, GC will not judge by it.
    let netns_id = Namespace::open(&call.parameters.netns).and_then(|netns| netns.id()).ok();
    let (allocated, _) = take(call, &ipam, &runtime, netns_id, None, None)?;
    let mut remains = Remains { link: None, has_rules: false, has_record: false };
    if let Err(error) = write_record(call, &runtime.annotations, &addresses(&allocated), &mut remains) {
        return Err(undone(call, &remains, error));
    }
    let ips =
        allocated.iter().map(|one| Ip { interface: None, address: one.address, gateway: Some(one.gateway) });
    let result = CniResult { ips: ips.collect(), routes: ipam.routes, dns, ..CniResult::default() };
    Ok(result.to_json(call.document.version))
}

/// ADD of the chained role: the record, and the result of the plugins before as it came.
pub(crate) fn chained(call: &mut Call) -> Result<Value, CniError> {
    let annotations = runtime_config::annotations(&call.document)?;
    let previous = call.document.previous()?.ok_or_else(|| {
        CniError::config(
            "prevResult: missing, expected this plugin behind another one, or ipam in its configuration",
        )
    })?;
    let addresses = previous.addresses_of(&call.parameters.ifname);
    let mut remains = Remains { link: None, has_rules: false, has_record: false };
    write_record(call, &annotations, &addresses, &mut remains)?;
    Ok(call.document.raw_prev_result())
}

/// The MAC address of the pod's interface: the requested one, or its own.
fn mac(network: &str, runtime: &RuntimeConfig, addresses: &[IpAddr]) -> Mac {
    runtime.mac.unwrap_or_else(|| names::pod_mac(network, addresses))
}

fn addresses(allocated: &[Allocated]) -> Vec<IpAddr> {
    allocated.iter().map(|one| one.address.addr()).collect()
}

/// Takes the addresses, and gives them with what it has written down: what is going to be made with them.
fn take(
    call: &mut Call,
    ipam: &Ipam,
    runtime: &RuntimeConfig,
    netns_id: Option<NamespaceId>,
    host_interface: Option<&str>,
    filter: Option<Filter>,
) -> Result<(Vec<Allocated>, Option<Attachment>), CniError> {
    if !call.is_in_default_dir() {
        stores::register(&call.document.dir)?;
    }
    let mut book = call.book()?;
    let boot_id = book.boot_id().to_owned();
    let (parameters, dir, network) = (&call.parameters, &call.document.dir, &call.document.name);
    let kept = RefCell::new(None);
    let keep = |allocated: &[Allocated]| {
        let attachment = Attachment {
            version: ATTACHMENT_VERSION,
            container_id: parameters.container_id.clone(),
            ifname: parameters.ifname.clone(),
            netns: parameters.netns.to_string_lossy().into_owned(),
            netns_id,
            boot_id: boot_id.clone(),
            mac: host_interface.map(|_| mac(network, runtime, &addresses(allocated))),
            host_interface: host_interface.map(str::to_owned),
            addresses: addresses(allocated),
            has_rules: filter.is_some(),
            filter: filter.clone(),
        };
        directory::keep(dir, kept.borrow_mut().insert(attachment))
    };
    let taken = book.take(&parameters.holder(), &ipam.sets, &runtime.ips, keep);
    let attachment = kept.take();
    if taken.is_err() && attachment.is_some() {
        // The addresses were not taken, so others may get them. A file that cannot be removed now is found by DEL.
        let _ = directory::forget(dir, &parameters.holder());
    }
    call.notices.append(&mut book.notices);
    Ok((taken?, attachment))
}

fn write_record(
    call: &Call,
    annotations: &BTreeMap<String, String>,
    addresses: &[IpAddr],
    remains: &mut Remains,
) -> Result<(), CniError> {
    let record = pod_record::of(&call.parameters, &call.document.name, addresses, annotations);
    let Some(record) = record else { return Ok(()) };
    remains.has_record = true;
    pod_record::write(&record)
}

/// Undoes what an ADD has made, and gives the error it failed with, and with it whatever could not be undone.
fn undone(call: &mut Call, remains: &Remains, error: CniError) -> CniError {
    match del::undo(call, remains) {
        Ok(()) => error,
        Err(also) => CniError { msg: format!("{error}; then {also}"), ..error },
    }
}

/// An ADD whose addresses are taken.
struct Wired<'a> {
    call: &'a Call,
    config: &'a MainConfig,
    ipam: &'a Ipam,
    runtime: &'a RuntimeConfig,
    allocated: &'a [Allocated],
    rules: Option<Rules>,
}

impl Wired<'_> {
    fn connect(
        &self,
        pod: &Namespace,
        node: &Namespace,
        host_ifname: &str,
        remains: &mut Remains,
    ) -> Result<CniResult, CniError> {
        // First of all: what the pod must not do is to be forbidden before it can do anything.
        if let Some(rules) = &self.rules {
            nft::install(rules, || stores::rules(None))?;
            // Where that failed nothing was changed, and a packet filter that cannot be used need not be undone.
            remains.has_rules = true;
        }
        let parameters = &self.call.parameters;
        let network = &self.call.document.name;
        let wiring = Wiring {
            pod,
            node,
            netns: parameters.netns.to_string_lossy().into_owned(),
            ifname: &parameters.ifname,
            mac: mac(network, self.runtime, &addresses(self.allocated)),
            host_ifname,
            host_mac: names::host_mac(network, &parameters.holder()),
            mtu: self.config.mtu,
            addresses: self.allocated,
            routes: &self.ipam.routes,
            route_localnet: !self.runtime.port_mappings.is_empty(),
            check: self.config.check,
            is_made: Cell::new(false),
        };
        let connected = match &self.config.mode {
            Mode::Routed => routed::connect(&wiring),
            Mode::Bridge(bridge) => bridge::connect(&wiring, bridge),
        };
        remains.link = wiring.is_made.get().then(|| host_ifname.to_owned());
        let result = connected?;
        write_record(self.call, &self.runtime.annotations, &addresses(self.allocated), remains)?;
        Ok(result)
    }
}
