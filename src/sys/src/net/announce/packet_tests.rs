//! Frames against the bytes that Linux sends, and what must not be taken for one.

use super::*;

const OWN: Mac = Mac([0x0a, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([0x0a, 0, 0, 0, 0, 2]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A question of the other machine's, from its address.
fn question(target: &str, asker: &str) -> Vec<u8> {
    match (ip(target), ip(asker)) {
        (IpAddr::V4(target), IpAddr::V4(asker)) => {
            arp_frame(BROADCAST, ARP_REQUEST, [OTHER, NO_MAC], [asker, target])
        }
        (IpAddr::V6(target), IpAddr::V6(asker)) => {
            let option = Some((OPTION_SOURCE, OTHER));
            let message = Message { kind: SOLICITATION, flags: 0, target, option };
            ipv6_frame(OTHER, multicast_mac(group(target)), [asker, group(target)], &message)
        }
        _ => panic!("{target} and {asker} are of two families"),
    }
}

/// Changes a message of IPv6 and corrects its checksum.
fn changed(mut frame: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut frame);
    let content = ETHERNET + IPV6;
    let length = u16::try_from(frame.len() - content).unwrap();
    frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
    frame[content + 2..content + 4].fill(0);
    let at = |at: usize| address(&frame[ETHERNET + at..ETHERNET + at + 16]).unwrap();
    let sum = checksum(at(8), at(24), &frame[content..]);
    frame[content + 2..content + 4].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn frames_are_those_of_the_rfcs() {
    // RFC 5227: a probe has no sender's address, an announcement has it twice.
    let arp = probe(OWN, ip("192.0.2.7"));
    let start = [&[0xff; 6][..], &OWN.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &OWN.0].concat();
    assert_eq!(arp, [&start[..], &[0; 4], &[0; 6], &[192, 0, 2, 7]].concat());
    let arp = announcement(OWN, ip("192.0.2.7"));
    assert_eq!(arp, [&start[..], &[192, 0, 2, 7], &[0; 6], &[192, 0, 2, 7]].concat());
    // What Linux sends when it looks whether fe80::800:ff:fe00:1 is free, but for the nonce of RFC 7527.
    let frame = probe(OWN, ip("fe80::800:ff:fe00:1"));
    assert_eq!(frame[..ETHERNET], [0x33, 0x33, 0xff, 0, 0, 1, 0x0a, 0, 0, 0, 0, 1, 0x86, 0xdd]);
    assert_eq!(frame[ETHERNET..ETHERNET + 8], [0x60, 0, 0, 0, 0, 24, 58, 255]);
    assert_eq!(frame.len(), ETHERNET + IPV6 + MESSAGE);
    // RFC 1071 by hand: ff02 + 1 + ff00 + 1 of the group, the length 18 and the protocol 3a, 8700 of the message, and
    // fe80 + 800 + ff + fe00 + 1 of the target.
    let sum: u32 = 0xff02 + 1 + 0xff00 + 1 + 0x18 + 0x3a + 0x8700 + 0xfe80 + 0x0800 + 0xff + 0xfe00 + 1;
    let sum = u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap();
    assert_eq!(frame[ETHERNET + IPV6 + 2..][..2], (!sum).to_be_bytes());
}

#[test]
fn a_question_is_read_and_its_answer_too() {
    for (target, asker) in [("192.0.2.7", "192.0.2.2"), ("2001:db8::7", "fe80::2")] {
        let heard = parse(&question(target, asker), OWN).unwrap();
        let asks = Question { target: ip(target), asker: Some(ip(asker)) };
        assert_eq!((heard.by, heard.asks), (OTHER, Some(asks)));
        let answer = answer(OWN, asks, OTHER).unwrap();
        assert_eq!(answer[..6], OTHER.0);
        let heard = parse(&answer, OTHER).unwrap();
        assert_eq!(heard, Heard { by: OWN, claims: Some(ip(target)), asks: None });
    }
}

#[test]
fn a_probe_is_answered_so_that_the_prober_hears_it() {
    for target in ["192.0.2.7", "2001:db8::7"] {
        let heard = parse(&probe(OTHER, ip(target)), OWN).unwrap();
        let asks = Question { target: ip(target), asker: None };
        assert_eq!(heard, Heard { by: OTHER, claims: None, asks: Some(asks) });
        let answer = answer(OWN, asks, OTHER).unwrap();
        let to: [u8; 6] = if ip(target).is_ipv4() { OTHER.0 } else { [0x33, 0x33, 0, 0, 0, 1] };
        assert_eq!(answer[..6], to);
        assert_eq!(parse(&answer, OTHER).unwrap().claims, Some(ip(target)));
    }
}

#[test]
fn who_announces_claims_and_asks_nothing() {
    for target in ["192.0.2.7", "2001:db8::7"] {
        let heard = parse(&announcement(OTHER, ip(target)), OWN).unwrap();
        assert_eq!(heard, Heard { by: OTHER, claims: Some(ip(target)), asks: None });
    }
}

#[test]
fn our_own_frames_and_those_that_are_cut_off_say_nothing() {
    for target in ["192.0.2.7", "2001:db8::7"] {
        for frame in [probe(OTHER, ip(target)), announcement(OTHER, ip(target))] {
            assert_eq!(parse(&frame, OTHER), None);
            for end in 0..frame.len() {
                assert_eq!(parse(&frame[..end], OWN), None, "{target} {end}");
            }
            // Short frames are filled up to 60 bytes.
            let long = [&frame[..], &[0; 18]].concat();
            assert!(parse(&long, OWN).is_some());
        }
    }
}

#[test]
fn an_arp_packet_of_another_kind_says_nothing() {
    let good = announcement(OTHER, ip("192.0.2.7"));
    // The kinds and lengths of addresses, an operation that is none, a sender that is many machines or none.
    for (at, value) in [(14, 1), (15, 6), (16, 0), (17, 1), (18, 8), (19, 16), (20, 1), (21, 3), (22, 0x0b)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(parse(&bad, OWN), None, "{at}");
    }
    let mut bad = good;
    bad[22..28].fill(0);
    assert_eq!(parse(&bad, OWN), None);
}

#[test]
fn a_packet_of_discovery_that_rfc_4861_forbids_says_nothing() {
    let (at, message) = (ETHERNET, ETHERNET + IPV6);
    let asked = || question("2001:db8::7", "fe80::2");
    let probed = || probe(OTHER, ip("2001:db8::7"));
    let told = || announcement(OTHER, ip("2001:db8::7"));
    for good in [asked(), probed(), told()] {
        assert!(parse(&changed(good.clone(), |_| {}), OWN).is_some());
        let mut wrong_sum = good.clone();
        wrong_sum[message + 3] ^= 1;
        let bad = [
            wrong_sum,
            // From beyond a router; not IPv6; another code; a multicast target.
            changed(good.clone(), |frame| frame[at + 7] = 254),
            changed(good.clone(), |frame| frame[at] = 0x40),
            changed(good.clone(), |frame| frame[message + 1] = 1),
            changed(good.clone(), |frame| frame[message + 8] = 0xff),
            // An option without a length, and one that is longer than the message.
            changed(good.clone(), |frame| frame.extend([9, 0, 0, 0, 0, 0, 0, 0])),
            changed(good.clone(), |frame| frame.extend([9, 2, 0, 0, 0, 0, 0, 0])),
        ];
        for (which, bad) in bad.iter().enumerate() {
            assert_eq!(parse(bad, OWN), None, "{which}");
        }
    }
    // A probe with a link-layer address, or to another group; an answer to all that says it was asked for.
    let bad = [
        changed(probed(), |frame| frame.extend([1, 1, 0x0a, 0, 0, 0, 0, 2])),
        changed(probed(), |frame| frame[at + 39] ^= 1),
        changed(told(), |frame| frame[message + 4] |= SOLICITED),
    ];
    for (which, bad) in bad.iter().enumerate() {
        assert_eq!(parse(bad, OWN), None, "{which}");
    }
}
