use super::*;

fn subnet(subnet: &str) -> RangeConfig {
    RangeConfig { subnet: subnet.into(), range_start: None, range_end: None, gateway: None }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_subnet_is_used_from_its_first_to_its_last_address() {
    let v4 = Range::new(&subnet("10.0.0.0/24"), "r").unwrap();
    assert_eq!((v4.first, v4.last, v4.gateway), (ip("10.0.0.1"), ip("10.0.0.254"), ip("10.0.0.1")));
    let set = RangeSet { ranges: vec![v4.clone()] };
    assert!(!set.allows(v4.gateway) && set.allows(v4.last) && !set.allows(ip("10.0.0.255")));
    let v6 = Range::new(&subnet("2001:db8::/126"), "r").unwrap();
    assert_eq!((v6.first, v6.last), (ip("2001:db8::1"), ip("2001:db8::3")));
    assert_eq!(v6.next(ip("2001:db8::3")), None);
    assert_eq!(v4.with_prefix(ip("10.0.0.9")).to_string(), "10.0.0.9/24");
    let whole = Range::new(&subnet("::/0"), "r").unwrap();
    assert_eq!(whole.next(whole.last), None);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_key() {
    let error = |config: &RangeConfig| Range::new(config, "ipam.ranges[0][0]").unwrap_err().to_string();
    assert!(error(&subnet("10.0.0.0")).starts_with("ipam.ranges[0][0].subnet: \"10.0.0.0\" is no CIDR"));
    assert!(error(&subnet("10.0.0.1/24")).ends_with("has host bits set, expected 10.0.0.0/24"));
    assert!(error(&subnet("10.0.0.0/31")).contains("too small to allocate from"));
    assert!(error(&subnet("2001:db8::/127")).contains("at most 126 bits"));
    let start = RangeConfig { range_start: Some(ip("10.0.1.1")), ..subnet("10.0.0.0/24") };
    assert_eq!(error(&start), "ipam.ranges[0][0].rangeStart: 10.0.1.1 is not in 10.0.0.0/24");
    let gateway = RangeConfig { gateway: Some(ip("::1")), ..subnet("10.0.0.0/24") };
    assert!(error(&gateway).contains("gateway: ::1 is not in"));
    let backwards = RangeConfig {
        range_start: Some(ip("10.0.0.9")),
        range_end: Some(ip("10.0.0.8")),
        ..subnet("10.0.0.0/24")
    };
    assert!(error(&backwards).contains("rangeEnd 10.0.0.8 is before rangeStart 10.0.0.9"));
}

#[test]
fn a_set_is_of_one_family_and_no_address_is_in_two_ranges() {
    let set = |subnets: &[&str]| {
        let configs: Vec<RangeConfig> = subnets.iter().map(|cidr| subnet(cidr)).collect();
        RangeSet::new(&configs, "ipam.ranges[0]")
    };
    assert!(set(&["10.0.0.0/24", "10.0.1.0/24"]).is_ok());
    assert!(set(&[]).unwrap_err().to_string().contains("is empty"));
    assert!(set(&["10.0.0.0/24", "2001:db8::/64"]).unwrap_err().to_string().contains("another family"));
    let overlap = set(&["10.0.0.0/23", "10.0.1.0/24"]).unwrap_err().to_string();
    assert_eq!(overlap, "ipam.ranges[0][1]: 10.0.1.1-10.0.1.254 overlaps with 10.0.0.1-10.0.1.254");
    let sets = [set(&["10.0.1.0/24"]).unwrap(), set(&["10.0.0.0/16"]).unwrap()];
    assert!(RangeSet::check_apart(&sets, "ipam.ranges").unwrap_err().to_string().contains("overlaps"));
    assert!(RangeSet::check_apart(&sets[..1], "ipam.ranges").is_ok());
}

#[test]
fn pod_cidrs_are_one_set_for_each_family_in_their_order() {
    let cidrs = ["10.0.0.0/24", "2001:db8::/64", "10.0.1.0/24"].map(str::to_owned);
    let sets = RangeSet::of_pod_cidrs(&cidrs, "ipam.podCIDRs").unwrap();
    assert_eq!(sets.iter().map(|set| set.ranges.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((sets[0].family(), sets[1].family()), (IpFamily::V4, IpFamily::V6));
    let twice = ["10.0.0.0/24", "10.0.0.0/25"].map(str::to_owned);
    let error = RangeSet::of_pod_cidrs(&twice, "ipam.podCIDRs").unwrap_err().to_string();
    assert!(error.starts_with("ipam.podCIDRs[1]: "), "{error}");
    assert!(RangeSet::of_pod_cidrs(&[], "ipam.podCIDRs").is_err());
}
