use super::*;

fn parse(flags: &[&str]) -> Result<Config, String> {
    let of = |command: &[&str]| {
        let line = [&[crate::PROGRAM], command, flags].concat();
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.into_command() {
            Command::Serve(args) => args.config().map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let (named, unnamed) = (of(&["serve"]), of(&[]));
    assert_eq!(named.is_ok(), unnamed.is_ok(), "{named:?} {unnamed:?}");
    assert_eq!(named.as_ref().ok(), unnamed.as_ref().ok());
    named
}

#[test]
fn flags_before_a_command_are_refused() {
    for command in ["serve", "backup", "restore"] {
        let line = [crate::PROGRAM, "--data-dir=/x", command, "/y"];
        let error = Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("cannot be used with"), "{command}: {error}");
    }
}

#[test]
fn lists_are_repeated_flags_too() {
    let once = parse(&[
        "--service-cluster-ip-range=10.96.0.0/28,2001:db8:fd00::/112",
        "--pod-cidr=10.244.1.0/24,2001:db8:1::/64",
        "--node-ip=192.0.2.1,2001:db8::1",
        "--node-labels=a=b,c=d",
        "--load-balancer-pool=192.0.2.0/24,2001:db8::1-2001:db8::9",
    ]);
    let repeated = parse(&[
        "--service-cluster-ip-range=10.96.0.0/28",
        "--service-cluster-ip-range=2001:db8:fd00::/112",
        "--pod-cidr=10.244.1.0/24",
        "--pod-cidr=2001:db8:1::/64",
        "--node-ip=192.0.2.1",
        "--node-ip=2001:db8::1",
        "--node-labels=a=b",
        "--node-labels=c=d",
        "--load-balancer-pool=192.0.2.0/24",
        "--load-balancer-pool=2001:db8::1-2001:db8::9",
    ]);
    assert_eq!(repeated.unwrap(), once.unwrap());
}

#[test]
fn flags_are_read() {
    let config = parse(&[
        "--service-cluster-ip-range=10.96.0.0/28,2001:db8:fd00::/112",
        "--service-node-port-range=31000-31010",
        "--node-name=n1.example",
        "--pod-cidr",
        "10.244.1.0/24,2001:db8:1::/64",
        "--node-ip=192.0.2.1",
        "--node-labels=topology.kubernetes.io/zone=a,rack=",
        "--load-balancer-pool=192.0.2.0/24,2001:db8::1-2001:db8::9",
    ])
    .unwrap();
    assert_eq!(
        config.service_cidrs,
        ["10.96.0.0/28".parse().unwrap(), "2001:db8:fd00::/112".parse().unwrap()]
    );
    assert_eq!(config.node_port_range, 31000..=31010);
    assert_eq!(
        (config.node_name.as_str(), config.pod_cidrs.len(), config.node_ips.len()),
        ("n1.example", 2, 1)
    );
    assert_eq!(config.load_balancer_pools.len(), 2);
    assert_eq!((config.zone(), config.node_labels["rack"].as_str()), (Some("a"), ""));
    for (text, expected) in [
        ("auto", CriEndpoint::Auto),
        ("none", CriEndpoint::None),
        ("unix:///run/c.sock", CriEndpoint::Socket("/run/c.sock".into())),
        ("/run/c.sock", CriEndpoint::Socket("/run/c.sock".into())),
    ] {
        assert_eq!(parse(&["--cri-endpoint", text]).unwrap().cri_endpoint, expected);
    }
    assert_eq!(parse(&[]).unwrap().cri_endpoint, CriEndpoint::Auto);
    assert_eq!(parse(&[]).unwrap().service_cidrs, ["10.96.0.0/12".parse().unwrap()]);
}

#[test]
fn each_flag_that_makes_no_sense_is_named() {
    for (flag, value) in [
        ("--service-cluster-ip-range", "10.96.0.0"),
        ("--service-cluster-ip-range", ""),
        ("--service-cluster-ip-range", "10.96.0.0/12,10.97.0.0/16"),
        ("--service-cluster-ip-range", "10.96.0.0/31"),
        ("--service-cluster-ip-range", "2001:db8::/48"),
        ("--service-cluster-ip-range", "127.0.0.0/8"),
        ("--service-cluster-ip-range", "169.0.0.0/8"),
        ("--service-cluster-ip-range", "0.0.0.0/0"),
        ("--service-cluster-ip-range", "10.96.0.0/28,2001:db8::/64,10.97.0.0/28"),
        ("--service-node-port-range", "0-10"),
        ("--service-node-port-range", "5-4"),
        ("--service-node-port-range", "30000"),
        ("--service-node-port-range", "1-65536"),
        ("--node-name", "Node"),
        ("--node-name", "-"),
        ("--node-labels", "rack"),
        ("--node-labels", "a b=c"),
        ("--node-labels", "rack=r1,zone=/"),
        ("--pod-cidr", "10.0.0.0/24,10.1.0.0/24"),
        ("--load-balancer-pool", "192.0.2.9-192.0.2.1"),
        ("--load-balancer-pool", "192.0.2.1-2001:db8::1"),
        ("--load-balancer-pool", "all"),
        ("--insecure-port", "6443"),
        ("--secure-port", "65536"),
        ("--bind-address", "localhost"),
        ("--tls-cert-file", "/x"),
        ("--cri-endpoint", ""),
        ("--cri-endpoint", "tcp://127.0.0.1:1"),
        ("--cri-endpoint", "unix://containerd.sock"),
        ("--logging-format", "xml"),
        ("--log-level", "4"),
        ("--authorization-mode", "RBAC"),
        ("--authorization-mode", "Node"),
    ] {
        let error = parse(&[flag, value]).unwrap_err();
        assert!(error.contains(flag), "{flag} {value}: {error}");
    }
}
