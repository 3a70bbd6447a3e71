//! Rules as expressions on registers of 4 bytes. In the names of methods, a rule that "goes on" evaluates its next
//! expression; otherwise the packet passes to the next rule.
//!
//! Newer kernels do not keep registers from one rule to the next, so each rule loads what it needs. With addresses of `w`
//! registers, from register [`KEY`] on, except for the rule that needs room before it:
//!
//! | register | key of `services` | value of `services` | key of `endpoints` |
//! |---|---|---|---|
//! | `KEY - 1` | | 0 | |
//! | `KEY` | address | cluster IP | cluster IP |
//! | `KEY + w` | protocol | port word | port word |
//! | `KEY + w + 1` | port | affinity's timeout | index |
//! | `KEY + w + 2` | origin | handling | |
//!
//! `nft` takes what a lookup wrote for the content of the first register alone, with a length of 0, and version 1.0.6 aborts
//! if that is part of a key. So values begin with a number that is not used, and what other lookups use lies where
//! something of the same length was loaded before. For origin and handling that is the packet's mark: a type of 32 bits, for in
//! JSON it aborts on a number with more bits than the type.

use pod::addresses::IpFamily;

use super::maps::{Map, Purpose};
use crate::net::netfilter::data::{DROP, FIRST, GOTO, JUMP, VERDICT, data, enter, register, verdict};
use crate::net::netfilter::family::{Encoding, Side};
use crate::net::netfilter::message::Attributes;

/// Comparisons.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// Headers.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// `meta` and `ct` keys.
const META_MARK: u32 = 3;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CT_STATUS: u32 = 2;
const CT_PORT: u32 = 12;
/// `IPS_DST_NAT` of linux/netfilter/nf_conntrack_common.h.
const STATUS_DNAT: u32 = 0x20;
/// `NFT_LOOKUP_F_INV`: goes on if there is no such element.
const ABSENT: u32 = 1;
/// `NFT_NG_RANDOM`.
const RANDOM: u32 = 1;
const NAT_DESTINATION: u32 = 1;
/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY` of linux/netfilter/nf_nat.h.
const FULLY_RANDOM: u32 = 1 << 4;
/// `NFT_DYNSET_OP_UPDATE` and `NFT_DYNSET_OP_DELETE`.
const UPDATE: u32 = 1;
const DELETE: u32 = 2;
/// Kinds and a code of `reject`.
const TCP_RESET: u32 = 1;
const ICMPX: u32 = 2;
const PORT_UNREACHABLE: u8 = 1;
const TCP: u8 = 6;
/// `NFTNL_UDATA_RULE_COMMENT` of libnftnl.
const COMMENT: u8 = 0;

/// The register where the keys of lookups begin.
const KEY: u32 = 1;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    expressions: Attributes,
    comment: &'static str,
}

impl Rule {
    /// `nft` shows stale names for registers that a lookup has written, so the comment says what the rule does.
    pub(super) fn new(comment: &'static str) -> Self {
        Self { expressions: Attributes::new(), comment }
    }

    /// Adds the rule to `about`, which names the table and the chain.
    pub(super) fn added_to(&self, about: Attributes) -> Attributes {
        let about = about.nested(4, &self.expressions);
        let length = u8::try_from(self.comment.len() + 1).unwrap_or(u8::MAX);
        about.bytes(7, &[&[COMMENT, length], self.comment.as_bytes(), b"\0"].concat())
    }

    fn expression(self, name: &str, about: &Attributes) -> Self {
        let expression = Attributes::new().text(1, name).nested(2, about);
        Self { expressions: self.expressions.nested(1, &expression), ..self }
    }

    fn compare(self, word: u32, operation: u32, value: &[u8]) -> Self {
        let about = Attributes::new().number(1, register(word)).number(2, operation).nested(3, &data(value));
        self.expression("cmp", &about)
    }

    fn mask(self, word: u32, mask: u32) -> Self {
        let about = Attributes::new().number(1, register(word)).number(2, register(word)).number(3, 4);
        let about = about.nested(4, &data(&mask.to_ne_bytes())).nested(5, &data(&[0; 4]));
        self.expression("bitwise", &about)
    }

    fn payload(self, header: u32, offset: usize, length: usize, word: u32) -> Self {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let about = Attributes::new().number(1, register(word)).number(2, header);
        self.expression("payload", &about.number(3, number(offset)).number(4, number(length)))
    }

    fn meta(self, key: u32, word: u32) -> Self {
        self.expression("meta", &Attributes::new().number(1, register(word)).number(2, key))
    }

    /// What the connection's first packet had before any translation.
    fn original(self, key: u32, word: u32) -> Self {
        let about = Attributes::new().number(1, register(word)).number(2, key).bytes(3, &[0]);
        self.expression("ct", &about)
    }

    fn lookup(self, map: Map, from: u32, to: u32) -> Self {
        let about = Attributes::new().text(1, &map.name()).number(2, register(from));
        self.expression("lookup", &about.number(3, register(to)))
    }

    fn among(self, set: Map, from: u32) -> Self {
        self.expression("lookup", &Attributes::new().text(1, &set.name()).number(2, register(from)))
    }

    fn not_among(self, set: Map, from: u32) -> Self {
        let about = Attributes::new().text(1, &set.name()).number(2, register(from)).number(5, ABSENT);
        self.expression("lookup", &about)
    }

    /// Goes on for packets of the family.
    pub(super) fn family(self, family: IpFamily) -> Self {
        self.meta(META_FAMILY, 0).compare(0, EQUAL, &[family.protocol()])
    }

    pub(super) fn tcp(self) -> Self {
        self.meta(META_PROTOCOL, 0).compare(0, EQUAL, &[TCP])
    }

    /// Goes on if the connection's destination was translated.
    pub(super) fn translated(self) -> Self {
        let rule = self.expression("ct", &Attributes::new().number(1, FIRST).number(2, CT_STATUS));
        rule.mask(0, STATUS_DNAT).compare(0, NOT_EQUAL, &[0; 4])
    }

    fn address(self, family: IpFamily, side: Side, word: u32) -> Self {
        self.payload(NETWORK, family.offset(side), family.length(), word)
    }

    /// The destination's port, at the same place for TCP, UDP and SCTP.
    fn port(self, word: u32) -> Self {
        self.payload(TRANSPORT, 2, 2, word)
    }

    /// The packet's destination as the key of a map.
    fn destination(self, family: IpFamily, key: u32) -> Self {
        let words = family.words();
        self.address(family, Side::Destination, key).meta(META_PROTOCOL, key + words).port(key + words + 1)
    }

    /// Goes on if a Service has the packet's destination, with the Service's value.
    pub(super) fn service(self, family: IpFamily) -> Self {
        self.service_at(family, KEY, KEY + family.words() + 3)
    }

    /// The same with the key at another register; the source's address goes to `source` for a while.
    fn service_at(self, family: IpFamily, key: u32, source: u32) -> Self {
        self.address(family, Side::Source, source)
            .origin(family, key, source)
            .destination(family, key)
            .lookup(Map(Purpose::Services, family), key, key - 1)
    }

    /// The same for the destination that the connection's client gave.
    pub(super) fn service_of_connection(self, family: IpFamily) -> Self {
        let (words, source) = (family.words(), KEY + family.words() + 3);
        self.original(original_address(family, Side::Source), source)
            .origin(family, KEY, source)
            .original(original_address(family, Side::Destination), KEY)
            .meta(META_PROTOCOL, KEY + words)
            .original(CT_PORT, KEY + words + 1)
            .lookup(Map(Purpose::Services, family), KEY, KEY - 1)
    }

    /// Completes the key with the origin of the address at `source`. The register before it is loaded later.
    fn origin(self, family: IpFamily, key: u32, source: u32) -> Self {
        let origin = key + family.words() + 2;
        self.meta(META_MARK, origin).lookup(Map(Purpose::Origins, family), source, origin - 1)
    }

    /// Goes on if the Service's handling has one of these bits.
    pub(super) fn has(self, family: IpFamily, bits: u32) -> Self {
        self.has_at(family, KEY, bits)
    }

    fn has_at(self, family: IpFamily, key: u32, bits: u32) -> Self {
        let handling = key + family.words() + 2;
        self.mask(handling, bits).compare(handling, NOT_EQUAL, &[0; 4])
    }

    /// Enters the chain for these bits of the Service's handling.
    pub(super) fn balance(self, family: IpFamily, bits: u32) -> Self {
        let handling = KEY + family.words() + 2;
        self.mask(handling, bits).enter_by(Map(Purpose::Balance, family), handling)
    }

    /// Enters the chain for the Service's timeout.
    pub(super) fn renew_affinity(self, family: IpFamily) -> Self {
        self.enter_by(Map(Purpose::AffinityTimeouts, family), KEY + family.words() + 1)
    }

    fn enter_by(self, map: Map, word: u32) -> Self {
        let about = Attributes::new().text(1, &map.name()).number(2, register(word)).number(3, VERDICT);
        self.expression("lookup", &about)
    }

    /// Goes on if the packet's source is not among those that may connect.
    pub(super) fn source_out_of_range(self, family: IpFamily) -> Self {
        self.destination(family, KEY)
            .address(family, Side::Source, KEY + family.words() + 2)
            .not_among(Map(Purpose::SourceRanges, family), KEY)
    }

    /// Goes on if the packet's source is its destination.
    pub(super) fn hairpin(self, family: IpFamily) -> Self {
        self.address(family, Side::Source, KEY)
            .address(family, Side::Destination, KEY + family.words())
            .among(Map(Purpose::Hairpins, family), KEY)
    }

    /// Goes on if a set has the packet's destination address.
    pub(super) fn to(self, family: IpFamily, set: Purpose) -> Self {
        self.address(family, Side::Destination, KEY).among(Map(set, family), KEY)
    }

    /// Translates the destination to the endpoint of one of the first `slots` slots, by chance.
    pub(super) fn lead_to_slot(self, family: IpFamily, slots: u32) -> Self {
        let about = Attributes::new().number(1, register(KEY + family.words() + 1)).number(2, slots);
        self.expression("numgen", &about.number(3, RANDOM))
            .lookup(Map(Purpose::Endpoints, family), KEY, KEY)
            .translate(family, KEY)
    }

    /// Translates the destination to the client's endpoint, if the Service has affinity and that is a member.
    pub(super) fn lead_to_remembered(self, family: IpFamily, affinity: u32) -> Self {
        // The endpoint lies before the cluster IP, as in a key of `members`.
        let (endpoint, words) = (1, family.words());
        let key = endpoint + words + 1;
        self.service_at(family, key, 0)
            .has_at(family, key, affinity)
            .address(family, Side::Source, key + words + 1)
            .address(family, Side::Destination, endpoint)
            .port(endpoint + words)
            .lookup(Map(Purpose::Affinity, family), key, endpoint - 1)
            .among(Map(Purpose::Members, family), endpoint)
            .translate(family, endpoint)
    }

    /// Translates the destination to the address and port from register `word` on.
    fn translate(self, family: IpFamily, word: u32) -> Self {
        let about = Attributes::new().number(1, NAT_DESTINATION).number(2, family.protocol().into());
        let (address, port) = (register(word), register(word + family.words()));
        self.expression("nat", &about.number(3, address).number(5, port))
    }

    /// Forgets the client's endpoint.
    pub(super) fn forget(self, family: IpFamily) -> Self {
        // The kernel wants a value, although it does not look at it.
        self.address(family, Side::Source, KEY + family.words() + 1)
            .endpoint(family)
            .affinity(family, DELETE, None)
    }

    /// Remembers the packet's destination as the client's endpoint.
    pub(super) fn remember(self, family: IpFamily, seconds: u32) -> Self {
        self.original(original_address(family, Side::Source), KEY + family.words() + 1)
            .endpoint(family)
            .affinity(family, UPDATE, Some(seconds))
    }

    /// The packet's destination as a value of `affinity`, behind its key.
    fn endpoint(self, family: IpFamily) -> Self {
        let value = KEY + family.words() * 2 + 1;
        self.meta(META_PROTOCOL, value)
            .address(family, Side::Destination, value + 1)
            .port(value + 1 + family.words())
    }

    fn affinity(self, family: IpFamily, operation: u32, seconds: Option<u32>) -> Self {
        let value = KEY + family.words() * 2 + 1;
        let about = Attributes::new().text(1, &Map(Purpose::Affinity, family).name()).number(3, operation);
        let about = about.number(4, register(KEY)).number(5, register(value));
        let milliseconds = seconds.map(|seconds| u64::from(seconds) * 1000);
        let about = milliseconds.into_iter().fold(about, |about, time| about.bytes(6, &time.to_be_bytes()));
        self.expression("dynset", &about)
    }

    pub(super) fn reset(self) -> Self {
        self.expression("reject", &Attributes::new().number(1, TCP_RESET))
    }

    pub(super) fn refuse(self) -> Self {
        self.expression("reject", &Attributes::new().number(1, ICMPX).bytes(2, &[PORT_UNREACHABLE]))
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(&verdict(DROP))
    }

    pub(super) fn jump(self, chain: &str) -> Self {
        self.verdict(&enter(JUMP, chain))
    }

    pub(super) fn goto(self, chain: &str) -> Self {
        self.verdict(&enter(GOTO, chain))
    }

    fn verdict(self, verdict: &Attributes) -> Self {
        self.expression("immediate", &Attributes::new().number(1, VERDICT).nested(2, verdict))
    }

    pub(super) fn masquerade(self) -> Self {
        self.expression("masq", &Attributes::new().number(1, FULLY_RANDOM))
    }
}

/// `NFT_CT_SRC_IP`, `NFT_CT_DST_IP`, and those of IPv6.
fn original_address(family: IpFamily, side: Side) -> u32 {
    match (family, side) {
        (IpFamily::V4, Side::Source) => 19,
        (IpFamily::V4, Side::Destination) => 20,
        (IpFamily::V6, Side::Source) => 21,
        (IpFamily::V6, Side::Destination) => 22,
    }
}
