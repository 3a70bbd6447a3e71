//! IP families as headers of packets and the registers of nf_tables have them.

use pod::addresses::IpFamily;

/// An address in the header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Side {
    Source,
    Destination,
}

/// How packets and nf_tables encode a family and its addresses.
pub(in crate::net) trait Encoding {
    /// Length of an address in bytes.
    fn length(self) -> usize;
    /// Number of 4 byte registers that an address takes.
    fn words(self) -> u32;
    /// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    fn protocol(self) -> u8;
    /// The type of a frame with such a packet.
    fn ethertype(self) -> u16;
    /// Offset of an address in the packet's header.
    fn offset(self, side: Side) -> usize;
}

impl Encoding for IpFamily {
    fn length(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    fn words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    fn protocol(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    fn ethertype(self) -> u16 {
        match self {
            Self::V4 => 0x0800,
            Self::V6 => 0x86dd,
        }
    }

    fn offset(self, side: Side) -> usize {
        match (self, side) {
            (Self::V4, Side::Source) => 12,
            (Self::V4, Side::Destination) => 16,
            (Self::V6, Side::Source) => 8,
            (Self::V6, Side::Destination) => 24,
        }
    }
}
