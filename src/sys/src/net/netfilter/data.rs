//! Values as nf_tables has them: types, registers, fields, verdicts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::Attributes;
use pod::addresses::IpFamily;

/// Attributes of linux/netfilter/nf_tables.h: of a data value, a verdict.
pub(in crate::net) const DATA_VALUE: u16 = 1;
pub(in crate::net) const DATA_VERDICT: u16 = 2;
pub(in crate::net) const VERDICT_CODE: u16 = 1;
pub(in crate::net) const VERDICT_CHAIN: u16 = 2;
/// `NF_DROP` of linux/netfilter.h, and the verdicts that enter a chain.
pub(in crate::net) const DROP: i32 = 0;
pub(in crate::net) const JUMP: i32 = -3;
pub(in crate::net) const GOTO: i32 = -4;
pub(in crate::net) const RETURN: i32 = -5;
/// Registers: the verdict, the first of 16 bytes, those of 4 bytes from the second on.
pub(in crate::net) const VERDICT: u32 = 0;
pub(in crate::net) const FIRST: u32 = 1;
const FIRST_WORD: u32 = 8;
/// The type of verdicts as values.
pub(in crate::net) const VERDICTS: u32 = 0xffff_ff00;

/// The number of a type in `nft`, and its length.
pub(in crate::net) type FieldType = (u32, usize);
pub(in crate::net) const IPV4_ADDRESS: FieldType = (7, 4);
pub(in crate::net) const IPV6_ADDRESS: FieldType = (8, 16);
pub(in crate::net) const ETHERNET_ADDRESS: FieldType = (9, 6);
pub(in crate::net) const INET_PROTOCOL: FieldType = (12, 1);
pub(in crate::net) const INET_SERVICE: FieldType = (13, 2);
pub(in crate::net) const MARK: FieldType = (19, 4);
pub(in crate::net) const INTERFACE_NAME: FieldType = (41, 16);

/// The type of a family's addresses.
pub(in crate::net) fn address_type(family: IpFamily) -> FieldType {
    match family {
        IpFamily::V4 => IPV4_ADDRESS,
        IpFamily::V6 => IPV6_ADDRESS,
    }
}

/// The type and length of a key or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct DataType {
    pub(in crate::net) id: u32,
    pub(in crate::net) length: u32,
}

impl DataType {
    /// Concatenated fields, each padded to four bytes, as in `nft`.
    pub(in crate::net) fn of(fields: &[FieldType]) -> Self {
        let id = fields.iter().fold(0, |id, field| (id << 6) | field.0);
        let length = fields.iter().map(|field| field.1.next_multiple_of(4)).sum::<usize>();
        Self { id, length: u32::try_from(length).unwrap_or(u32::MAX) }
    }
}

/// The register `words` after the first. For a multiple of 16 bytes the kernel uses the number among the registers of
/// 16 bytes.
pub(in crate::net) fn register(words: u32) -> u32 {
    if words.is_multiple_of(4) { FIRST + words / 4 } else { FIRST_WORD + words }
}

/// A value other than a verdict.
pub(in crate::net) fn data(value: &[u8]) -> Attributes {
    Attributes::new().bytes(DATA_VALUE, value)
}

/// A verdict that ends a rule.
pub(in crate::net) fn verdict(code: i32) -> Attributes {
    Attributes::new().nested(DATA_VERDICT, &Attributes::new().bytes(VERDICT_CODE, &code.to_be_bytes()))
}

/// A verdict that enters a chain.
pub(in crate::net) fn enter(code: i32, chain: &str) -> Attributes {
    let verdict = Attributes::new().bytes(VERDICT_CODE, &code.to_be_bytes()).text(VERDICT_CHAIN, chain);
    Attributes::new().nested(DATA_VERDICT, &verdict)
}

/// The bytes of an address.
pub(in crate::net) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A port as a field.
pub(in crate::net) fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// The address at the start of `bytes`.
pub(in crate::net) fn address(family: IpFamily, bytes: &[u8]) -> Option<IpAddr> {
    Some(match family {
        IpFamily::V4 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        IpFamily::V6 => Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(),
    })
}

/// The port at the start of `bytes`.
pub(in crate::net) fn port(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_named_as_the_kernel_names_them() {
        assert_eq!([0, 1, 4, 5].map(register), [1, 9, 2, 13]);
    }
}
