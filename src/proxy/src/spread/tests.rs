use super::*;

fn endpoints(numbers: impl IntoIterator<Item = u32>) -> Vec<Endpoint> {
    let address = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
    numbers.into_iter().map(|number| Endpoint { address: address(number), port: 8080 }).collect()
}

/// How many slots each endpoint has.
fn shares(count: u32) -> Vec<usize> {
    let mut shares = vec![0; count as usize];
    slots(&endpoints(0..count)).into_iter().for_each(|endpoint| shares[endpoint] += 1);
    shares
}

#[test]
fn a_few_endpoints_have_a_slot_each() {
    for count in [0, 1, 2, 63, 64] {
        assert_eq!(slots(&endpoints(0..count)), (0..count as usize).collect::<Vec<_>>());
    }
}

#[test]
fn no_endpoint_has_two_slots_more_than_another_one() {
    for count in [65, 66, 100, 127, 128, 129, 1000, 2048, 2049, 40_000, 65_535, 65_536] {
        let shares = shares(count);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(*least >= 1 && most - least <= 1, "{count} endpoints have {least} to {most} slots");
        assert_eq!(shares.iter().sum::<usize>(), slots_for(count as usize) as usize);
    }
}

#[test]
fn more_endpoints_than_slots_are_left_out() {
    let slots = slots(&endpoints(0..70_000));
    assert_eq!(slots, (0..65_536).collect::<Vec<_>>());
}

/// The part of the slots that lead to another endpoint, of those that did not have to change.
fn moved(before: &[Endpoint], after: &[Endpoint]) -> f64 {
    let (old, new) = (slots(before), slots(after));
    assert_eq!(old.len(), new.len());
    let pairs = old.iter().zip(&new).map(|(old, new)| (before[*old], after[*new]));
    let changed = pairs.filter(|(old, new)| old != new).count();
    let needed = before.len().abs_diff(after.len()) as f64 / before.len().max(after.len()) as f64;
    changed as f64 / old.len() as f64 - needed
}

#[test]
fn most_slots_stay_where_they_are_when_an_endpoint_comes_or_goes() {
    for count in [66, 100, 127, 200, 1000, 2000] {
        let all = endpoints(0..count);
        for gone in [0, count / 2, count - 1] {
            let mut fewer = all.clone();
            fewer.remove(gone as usize);
            assert!(moved(&all, &fewer) < 0.1, "{count}: {}", moved(&all, &fewer));
            assert!(moved(&fewer, &all) < 0.1, "{count}: {}", moved(&fewer, &all));
        }
    }
}

#[test]
fn the_port_and_every_part_of_an_address_count() {
    let order = |address: &str, port| {
        let order = Order::of(Endpoint { address: address.parse().unwrap(), port }, 4096);
        (order.next, order.step)
    };
    let first = order("fd00::1", 80);
    for (address, port) in [("fd00::1", 81), ("fd00::2", 80), ("fd01::1", 80), ("fd00:0:0:0:1::1", 80)] {
        assert_ne!(order(address, port), first);
    }
}
