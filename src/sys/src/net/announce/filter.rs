//! The sockets' filters, in the language of classic BPF: the kernel wakes this program only for frames about its
//! addresses, however many packets the node gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::sock_filter;

/// `BPF_LD | BPF_ABS` with words and bytes, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K` of linux/bpf_common.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_PKTTYPE` of linux/filter.h, and `PACKET_OTHERHOST` of linux/if_packet.h.
const PACKET_TYPE: u32 = 0xffff_f004;
const OTHER_HOST: u32 = 3;
/// `BPF_MAXINSNS` of linux/bpf_common.h.
const LENGTH_MAX: usize = 4096;
/// How many bytes of a frame are passed on.
pub(super) const FRAME_MAX: u32 = 1500;
/// Offsets in a frame.
const ARP_SENDER: u32 = 28;
const ARP_TARGET: u32 = 38;
const IPV6_NEXT: u32 = 20;
const ICMPV6_TYPE: u32 = 54;
const DISCOVERY_TARGET: u32 = 62;
const ICMPV6: u32 = 58;
const SOLICITATION: u32 = 135;
const ADVERTISEMENT: u32 = 136;

fn load(size: u16, offset: u32) -> sock_filter {
    sock_filter { code: size, jt: 0, jf: 0, k: offset }
}

/// Skips `then` instructions if the loaded number is `value`, else `otherwise`.
fn equal(value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code: JUMP_EQUAL, jt: then, jf: otherwise, k: value }
}

/// Passes on so many bytes of the frame; 0 drops it.
fn pass(bytes: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: bytes }
}

/// Frames for other machines are dropped, which an interface in promiscuous mode gets.
fn for_this_machine() -> [sock_filter; 3] {
    [load(LOAD_BYTE, PACKET_TYPE), equal(OTHER_HOST, 0, 1), pass(0)]
}

/// Passes on ARP about one of `addresses`, as its sender's or as the one that is asked for.
pub(super) fn arp(addresses: &[Ipv4Addr]) -> Vec<sock_filter> {
    if addresses.is_empty() {
        return vec![pass(0)];
    }
    let mut program = for_this_machine().to_vec();
    for offset in [ARP_SENDER, ARP_TARGET] {
        program.push(load(LOAD_WORD, offset));
        for address in addresses {
            program.extend([equal((*address).into(), 0, 1), pass(FRAME_MAX)]);
        }
    }
    program.push(pass(0));
    if program.len() > LENGTH_MAX { all_arp() } else { program }
}

/// Passes on all of ARP: for more addresses than a filter can have. They are looked for afterwards.
pub(super) fn all_arp() -> Vec<sock_filter> {
    let mut program = for_this_machine().to_vec();
    program.push(pass(FRAME_MAX));
    program
}

/// Passes on solicitations and advertisements about one of `addresses`.
pub(super) fn discovery(addresses: &[Ipv6Addr]) -> Vec<sock_filter> {
    if addresses.is_empty() {
        return vec![pass(0)];
    }
    let mut program = of_discovery();
    for address in addresses {
        let octets = address.octets();
        for (word, bytes) in (0_u8..).zip(octets.chunks_exact(4)) {
            let value = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            // Past the words that are left, and the instruction that passes the frame on.
            let next_address = (3 - word) * 2 + 1;
            let offset = DISCOVERY_TARGET + u32::from(word) * 4;
            program.extend([load(LOAD_WORD, offset), equal(value, 0, next_address)]);
        }
        program.push(pass(FRAME_MAX));
    }
    program.push(pass(0));
    if program.len() > LENGTH_MAX { all_discovery() } else { program }
}

/// Passes on all solicitations and advertisements.
pub(super) fn all_discovery() -> Vec<sock_filter> {
    let mut program = of_discovery();
    program.push(pass(FRAME_MAX));
    program
}

/// Drops all but solicitations and advertisements.
fn of_discovery() -> Vec<sock_filter> {
    let mut program = for_this_machine().to_vec();
    program.extend([
        load(LOAD_BYTE, IPV6_NEXT),
        equal(ICMPV6, 1, 0),
        pass(0),
        load(LOAD_BYTE, ICMPV6_TYPE),
        equal(SOLICITATION, 2, 0),
        equal(ADVERTISEMENT, 1, 0),
        pass(0),
    ]);
    program
}

/// The addresses of each family.
pub(super) fn by_family(addresses: impl Iterator<Item = IpAddr>) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for address in addresses {
        match address {
            IpAddr::V4(address) => four.push(address),
            IpAddr::V6(address) => six.push(address),
        }
    }
    (four, six)
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Question, announcement, answer, probe};
    use super::*;
    use crate::net::rtnetlink::Mac;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    /// What the kernel does with a filter; a load past the end drops the frame.
    fn run(program: &[sock_filter], frame: &[u8], packet_type: u32) -> u32 {
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let offset = k as usize;
            at += 1;
            match code {
                LOAD_BYTE if k == PACKET_TYPE => loaded = packet_type,
                LOAD_BYTE => match frame.get(offset) {
                    Some(byte) => loaded = u32::from(*byte),
                    None => return 0,
                },
                LOAD_WORD => match frame.get(offset..offset + 4) {
                    Some(word) => loaded = u32::from_be_bytes(word.try_into().unwrap()),
                    None => return 0,
                },
                JUMP_EQUAL => at += usize::from(if loaded == k { jt } else { jf }),
                RETURN => return k,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn only_frames_about_our_addresses_pass() {
        let ours: [IpAddr; 4] =
            ["192.0.2.7", "192.0.2.9", "2001:db8::7", "2001:db8::9"].map(|a| a.parse().unwrap());
        let others: [IpAddr; 3] = ["192.0.2.8", "2001:db8::8", "2001:db8:0:1::9"].map(|a| a.parse().unwrap());
        let (four, six) = by_family(ours.into_iter());
        let (arp, discovery) = (arp(&four), discovery(&six));
        let passes = |address: IpAddr, frame: &[u8], kind| {
            run(if address.is_ipv4() { &arp } else { &discovery }, frame, kind) == FRAME_MAX
        };
        for (addresses, expected) in [(&ours[..], true), (&others[..], false)] {
            for address in addresses {
                let asker = others.iter().copied().find(|other| other.is_ipv4() == address.is_ipv4());
                let answer = answer(MAC, Question { target: *address, asker }, MAC).unwrap();
                for frame in [probe(MAC, *address), announcement(MAC, *address), answer] {
                    assert_eq!(passes(*address, &frame, 0), expected, "{address}");
                    assert_eq!(passes(*address, &frame, 1), expected, "{address}");
                    assert!(!passes(*address, &frame, OTHER_HOST), "{address}");
                    for end in 0..ARP_SENDER as usize {
                        assert!(!passes(*address, &frame[..end], 0), "{address} {end}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_packets_of_ipv6_do_not_pass() {
        let address: IpAddr = "2001:db8::7".parse().unwrap();
        let mut frame = probe(MAC, address);
        let (_, six) = by_family([address].into_iter());
        frame[ICMPV6_TYPE as usize] = 128;
        assert_eq!(run(&discovery(&six), &frame, 0), 0);
        frame[ICMPV6_TYPE as usize] = 135;
        frame[IPV6_NEXT as usize] = 6;
        assert_eq!(run(&discovery(&six), &frame, 0), 0);
    }

    #[test]
    fn too_many_addresses_let_all_of_their_kind_pass_and_none_nothing() {
        let many = |count: u32| (0..count).map(Ipv4Addr::from).collect::<Vec<_>>();
        assert_eq!(arp(&many(1020)).len(), 4086);
        assert_eq!(arp(&many(1030)).len(), all_arp().len());
        let many = |count: u128| (0..count).map(Ipv6Addr::from).collect::<Vec<_>>();
        assert!(discovery(&many(450)).len() > 4000);
        assert_eq!(discovery(&many(460)).len(), all_discovery().len());
        let probe = probe(MAC, "192.0.2.8".parse().unwrap());
        assert_eq!((run(&all_arp(), &probe, 1), run(&arp(&[]), &probe, 1)), (FRAME_MAX, 0));
    }
}
