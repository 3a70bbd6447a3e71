//! ADD: addresses are taken, then the interface is made; a failure undoes all of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::common::{against_gc, open_book, pod_namespace, read_dns};
use super::{del, pod_record};
use crate::config::document::Network;
use crate::config::main_config::Mode;
use crate::config::request::{AddChained, AddIpam, AddMain};
use crate::interface::wiring::{Undo, Wiring};
use crate::interface::{bridge, names, routed};
use crate::ipam::allocate::Allocated;
use crate::ipam::ranges::RangeSet;
use crate::protocol::environment::Parameters;
use crate::protocol::error::CniError;
use crate::protocol::result::{CniResult, Ip};
use crate::undo::UndoGuard;
use records::attachment::{ATTACHMENT_VERSION, Attachment, Filter, Holder};
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft::{self, Leaving};
use sys::net::rtnetlink::{Mac, Namespace, NamespaceId};

/// ADD of the main role: addresses and the interface.
pub(super) fn main(add: &AddMain, notices: &mut Vec<String>) -> Result<Value, CniError> {
    let AddMain { network, parameters, runtime, ipam, .. } = add;
    let dns = read_dns(&add.dns)?;
    let node = Namespace::own()?;
    let (pod, netns_id) = pod_namespace(parameters, &node)?;
    let _no_gc = against_gc(&network.dir, LockKind::Shared)?;

    let holder = parameters.holder();
    let name = names::host_interface(&network.name, &holder);
    let new = NewAttachment {
        network,
        parameters,
        netns_id: Some(netns_id),
        host_interface: Some(&name),
        mac: runtime.mac,
        filter: add.filter.as_ref(),
    };
    let (allocated, attachment) = new.take(&ipam.sets, &runtime.ips, notices)?;
    let mut undo = UndoGuard::new(notices, |notices| del::release(network, &holder, notices));
    match connect(add, (&pod, &node), &name, &allocated, &attachment, &mut undo) {
        Ok(result) => {
            undo.defuse();
            Ok(CniResult { dns, ..result }.to_json(add.version))
        }
        Err(error) => Err(undo.fail(error)),
    }
}

/// ADD of the ipam role: addresses only.
pub(super) fn ipam(add: &AddIpam, notices: &mut Vec<String>) -> Result<Value, CniError> {
    let AddIpam { network, parameters, runtime, ipam, .. } = add;
    let dns = read_dns(&add.dns)?;
    let _no_gc = against_gc(&network.dir, LockKind::Shared)?;
    // GC judges no attachment whose namespace could not be looked at.
    let netns_id = Namespace::open(&parameters.netns).and_then(|netns| netns.id()).ok();
    let new = NewAttachment { network, parameters, netns_id, host_interface: None, mac: None, filter: None };
    let (allocated, attachment) = new.take(&ipam.sets, &runtime.ips, notices)?;
    let holder = parameters.holder();
    let mut undo = UndoGuard::new(notices, |notices| del::release(network, &holder, notices));
    let written =
        write_record(network, parameters, &attachment.addresses, &runtime.annotations, Some(&mut undo));
    if let Err(error) = written {
        return Err(undo.fail(error));
    }
    undo.defuse();
    let ips =
        allocated.iter().map(|one| Ip { interface: None, address: one.address, gateway: Some(one.gateway) });
    let result = CniResult { ips: ips.collect(), routes: ipam.routes.clone(), dns, ..CniResult::default() };
    Ok(result.to_json(add.version))
}

/// ADD of the chained role: the record, and the result of the earlier plugins unchanged.
pub(super) fn chained(add: &AddChained) -> Result<Value, CniError> {
    write_record(&add.network, &add.parameters, &add.addresses, &add.annotations, None)?;
    Ok(add.result.clone())
}

/// An attachment that is to be made.
struct NewAttachment<'a> {
    network: &'a Network,
    parameters: &'a Parameters,
    netns_id: Option<NamespaceId>,
    /// The node's end of the veth pair, where there is to be one.
    host_interface: Option<&'a str>,
    /// The MAC address that was asked for.
    mac: Option<Mac>,
    filter: Option<&'a Filter>,
}

impl NewAttachment<'_> {
    /// Takes the addresses, and writes the attachment's file before anything is made.
    fn take(
        &self,
        sets: &[RangeSet],
        requested: &[IpAddr],
        notices: &mut Vec<String>,
    ) -> Result<(Vec<Allocated>, Attachment), CniError> {
        let Network { name, dir } = self.network;
        if !self.network.is_in_default_dir() {
            stores::register(dir)?;
        }
        let mut book = open_book(dir, notices)?;
        let boot_id = book.boot_id().to_owned();
        let holder = self.parameters.holder();
        let mut is_written = false;
        let taken = book.take(&holder, sets, requested, |allocated| {
            let addresses: Vec<IpAddr> = allocated.iter().map(|one| one.address.addr()).collect();
            let attachment = Attachment {
                version: ATTACHMENT_VERSION,
                container_id: holder.container.clone(),
                ifname: holder.ifname.clone(),
                netns: self.parameters.netns.to_string_lossy().into_owned(),
                netns_id: self.netns_id,
                boot_id: boot_id.clone(),
                mac: self
                    .host_interface
                    .map(|_| self.mac.unwrap_or_else(|| names::pod_mac(name, &addresses))),
                host_interface: self.host_interface.map(str::to_owned),
                addresses,
                has_rules: self.filter.is_some(),
                filter: self.filter.cloned(),
            };
            is_written = true;
            directory::keep(dir, &attachment)?;
            Ok(attachment)
        });
        if taken.is_err() && is_written {
            // The addresses were not taken, so others may get them. DEL finds a file that cannot be removed now.
            let _ = directory::forget(dir, &holder);
        }
        notices.append(&mut book.notices);
        Ok(taken?)
    }
}

/// Makes the rules, the interface and the record of an attachment whose addresses are taken.
fn connect<'a>(
    add: &'a AddMain,
    (pod, node): (&'a Namespace, &'a Namespace),
    host_ifname: &'a str,
    allocated: &'a [Allocated],
    attachment: &'a Attachment,
    undo: &mut Undo<'a>,
) -> Result<CniResult, CniError> {
    let AddMain { network, parameters, runtime, config, .. } = add;
    // The rules come first: what the pod must not do is forbidden before it can do anything.
    if let Some(rules) = attachment.rules(&network.name) {
        nft::install(&rules, || stores::rules(None))?;
        // An installation that failed has changed nothing.
        undo.push(move |notices| {
            let leaving = Leaving {
                network: &network.name,
                interface: Some(host_ifname),
                link: None,
                rules: Some(&rules),
            };
            let removed = del::remove_rules(network, &attachment.holder(), &leaving, notices)?;
            Ok(nft::sweep(&leaving, &removed)?)
        });
    }
    let wiring = Wiring {
        pod,
        node,
        attachment,
        ifname: &parameters.ifname,
        mac: attachment.mac.unwrap_or_else(|| names::pod_mac(&network.name, &attachment.addresses)),
        host_ifname,
        host_mac: names::host_mac(&network.name, &attachment.holder()),
        mtu: config.mtu,
        addresses: allocated,
        routes: &add.ipam.routes,
        route_localnet: !runtime.port_mappings.is_empty(),
        check: config.check,
    };
    let result = match &config.mode {
        Mode::Routed => routed::connect(&wiring, undo),
        Mode::Bridge(bridge) => bridge::connect(&wiring, bridge, undo),
    }?;
    write_record(network, parameters, &attachment.addresses, &runtime.annotations, Some(undo))?;
    Ok(result)
}

/// Writes the record of a pod's own interface.
fn write_record<'a>(
    network: &'a Network,
    parameters: &'a Parameters,
    addresses: &[IpAddr],
    annotations: &BTreeMap<String, String>,
    undo: Option<&mut Undo<'a>>,
) -> Result<(), CniError> {
    let record = pod_record::of(parameters, &network.name, addresses, annotations);
    let Some(record) = record else { return Ok(()) };
    if let Some(undo) = undo {
        let Holder { container, ifname } = parameters.holder();
        undo.push(move |_| pod_record::remove(&network.name, &container, &ifname));
    }
    pod_record::write(&record)
}
