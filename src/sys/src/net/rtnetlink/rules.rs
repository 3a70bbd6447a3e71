//! Rules that choose a routing table by a packet's source.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use pod::addresses::IpFamily;

use super::addresses::family;
use super::error::NetworkError;
use super::netlink::{NetworkChange, RouteSocket};

/// Packets from a network are routed by a table, if that has a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRule {
    /// The network.
    pub from: IpNet,
    /// The table.
    pub table: u32,
    /// Rules with a lower number go first; that of the table main is 32766.
    pub priority: u32,
    /// Who made it, as of a route.
    pub protocol: u8,
}

impl SourceRule {
    fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = family(self.from.addr());
        message.header.src_len = self.from.prefix_len();
        message.header.table = u8::try_from(self.table).unwrap_or(0);
        message.header.action = RuleAction::ToTable;
        message.attributes = vec![
            RuleAttribute::Source(self.from.network()),
            RuleAttribute::Table(self.table),
            RuleAttribute::Priority(self.priority),
            RuleAttribute::Protocol(self.protocol.into()),
        ];
        message
    }

    /// The rule in a message; `None` if it is of another kind, or somebody else's.
    fn of(message: &RuleMessage, of: u8) -> Option<Self> {
        let (mut source, mut table, mut priority) = (None, u32::from(message.header.table), 0);
        let mut is_own = false;
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Source(address) => source = Some(*address),
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::Priority(number) => priority = *number,
                RuleAttribute::Protocol(protocol) => is_own = u8::from(*protocol) == of,
                _ => {}
            }
        }
        let from = IpNet::new(source?, message.header.src_len).ok()?;
        is_own.then_some(Self { from, table, priority, protocol: of })
    }

    fn shown(&self) -> String {
        format!("from {} lookup {}", self.from, self.table)
    }
}

impl NetworkChange {
    /// Adds a rule.
    pub fn add_rule(rule: &SourceRule) -> Self {
        let message = RouteNetlinkMessage::NewRule(rule.message());
        Self::new(message, NLM_F_CREATE | NLM_F_EXCL, "add rule", rule.shown())
    }

    /// Removes a rule.
    pub fn remove_rule(rule: &SourceRule) -> Self {
        Self::new(RouteNetlinkMessage::DelRule(rule.message()), 0, "remove rule", rule.shown())
    }
}

impl RouteSocket {
    /// The rules of a family that have this protocol and look at nothing but the source.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn source_rules(&mut self, of: IpFamily, protocol: u8) -> Result<Vec<SourceRule>, NetworkError> {
        let mut message = RuleMessage::default();
        message.header.family = family(match of {
            IpFamily::V4 => IpAddr::from([0; 4]),
            IpFamily::V6 => IpAddr::from([0; 16]),
        });
        let found = match self.dump(RouteNetlinkMessage::GetRule(message)) {
            // The kernel has no rules of that family.
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
                return Ok(Vec::new());
            }
            found => found.map_err(|cause| NetworkError::Refused {
                verb: "list",
                what: format!("{of} rules"),
                cause,
            })?,
        };
        let rule = |message: &RouteNetlinkMessage| match message {
            RouteNetlinkMessage::NewRule(message) => SourceRule::of(message, protocol),
            _ => None,
        };
        Ok(found.iter().filter_map(rule).collect())
    }
}
