use super::*;

/// An endpoint as the tests write it, such as `1 ready local zone=a,b node=n`: its last byte, conditions, place and hints.
struct Written {
    endpoint: Endpoint,
    words: String,
    hints: Option<Hints>,
}

impl Written {
    fn read(text: &str) -> Self {
        let (number, words) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let list = |key: &str| -> Vec<String> {
            let value = words.split(' ').find_map(|word| word.strip_prefix(key));
            value.map(|value| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        let hints = Hints { zones: list("zone="), nodes: list("node=") };
        let hints = (hints != Hints::default()).then_some(hints);
        let address = [10, 0, 0, number.parse().unwrap()].into();
        Self { endpoint: Endpoint { address, port: 80 }, words: words.to_owned(), hints }
    }

    fn candidate(&self) -> Candidate<'_> {
        let has = |word| self.words.split(' ').any(|it| it == word);
        Candidate {
            endpoint: self.endpoint,
            ready: has("ready"),
            serving: has("serving"),
            terminating: has("terminating"),
            local: has("local"),
            hints: self.hints.as_ref(),
        }
    }
}

fn numbers(chosen: &[Candidate<'_>]) -> String {
    let last = |candidate: &Candidate<'_>| candidate.endpoint.address.to_string().replace("10.0.0.", "");
    chosen.iter().map(last).collect::<Vec<_>>().join(" ")
}

/// Node "here" in zone "a" unless the policies' text says otherwise.
fn check(policies: &str, endpoints: &str, cluster: &str, local: &str, has_any: bool) {
    let has = |word| policies.split(' ').any(|it| it == word);
    let zone = if has("zoneless") { None } else { Some("a".to_owned()) };
    let node = Node { name: "here".to_owned(), zone, ..Node::default() };
    let policies = Policies {
        internal_local: has("internal-local"),
        external_local: has("external-local"),
        has_external: has("external") || has("external-local"),
    };
    let policies = if has("unreachable") { Policies { has_external: false, ..policies } } else { policies };
    let written: Vec<_> =
        endpoints.split(';').filter(|it| !it.trim().is_empty()).map(Written::read).collect();
    let candidates: Vec<_> = written.iter().map(Written::candidate).collect();
    let chosen = choose(&candidates, policies, &node);
    let found = (numbers(&chosen.cluster), numbers(&chosen.local), chosen.has_any);
    assert_eq!(found, (cluster.to_owned(), local.to_owned(), has_any), "{policies:?} of {endpoints}");
}

#[test]
fn hints_for_zones() {
    let zones = "1 ready zone=a; 2 ready zone=b; 3 ready zone=c; 4 ready zone=a";
    check("", zones, "1 4", "", true);
    check("zoneless", zones, "1 2 3 4", "", true);
    // No endpoint is for this zone, or only one that is not ready.
    check("", "1 ready zone=b; 2 ready zone=c", "1 2", "", true);
    check("", "1 zone=a; 2 ready zone=b; 3 ready zone=c; 4 zone=a", "2 3", "", true);
    check("", "1 ready zone=a; 2 ready zone=b; 3 zone=a", "1", "", true);
    // One that is ready has no hint; one that is not ready needs none.
    check("", "1 ready zone=a; 2 ready zone=b; 3 ready; 4 ready zone=a", "1 2 3 4", "", true);
    check("", "1 ready zone=a; 2 ready zone=b; 3; 4 ready zone=a", "1 4", "", true);
    check("", "1 ready zone=b,a,c; 2 ready zone=c,a; 3 ready zone=b,d; 4 ready zone=a", "1 2 4", "", true);
}

#[test]
fn hints_for_nodes_come_first() {
    let both = "1 ready zone=a node=here; 2 ready zone=b node=n2; 3 ready zone=a node=n3";
    check("", both, "1", "", true);
    check("zoneless", both, "1", "", true);
    // No endpoint is for this node: zones count.
    check("", "1 ready zone=a node=n1; 2 ready zone=b node=n2; 3 ready zone=a node=n3", "1 3", "", true);
    check("zoneless", "1 ready zone=a node=n1; 2 ready zone=b node=n2", "1 2", "", true);
    // One has no hint for nodes: zones count; one has none at all: all are used.
    check("", "1 ready zone=a node=here; 2 ready zone=b; 3 ready zone=a node=n3", "1 3", "", true);
    check("", "1 ready zone=a node=here; 2 ready; 3 ready zone=a node=n3", "1 2 3", "", true);
    check("", "1 ready node=here; 2 ready node=n2", "1", "", true);
    check("", "1 ready node=n1,here; 2 ready node=n2", "1", "", true);
    check("", "1 node=here; 2 ready node=n2", "2", "", true);
}

#[test]
fn hints_do_not_count_for_local_endpoints_nor_where_none_is_ready() {
    let endpoints = "1 ready local zone=a; 2 ready local zone=b; 3 ready zone=c; 4 ready zone=a";
    check("external-local", endpoints, "1 4", "1 2", true);
    check("internal-local external", endpoints, "1 4", "1 2", true);
    check("internal-local", endpoints, "", "1 2", true);
    let ending = "1 serving terminating zone=a; 2 serving terminating zone=b";
    check("", ending, "1 2", "", true);
}

#[test]
fn readiness() {
    check("", "", "", "", false);
    check("", "1; 2", "", "", false);
    check("", "1; 2 ready", "2", "", true);
    // Without a ready one, those that serve and terminate; to serve alone is not enough.
    check("", "1 serving terminating; 2 serving; 3 terminating; 4", "1", "", true);
    check("", "1 serving terminating; 2 ready", "2", "", true);
    check("", "1 serving; 2 terminating", "", "", false);
    // With publishNotReadyAddresses an endpoint is always ready.
    check("", "1 ready terminating; 2 ready serving terminating", "1 2", "", true);
}

#[test]
fn policies() {
    let some = "1 ready local; 2 ready";
    let remote = "1 ready; 2 ready";
    for (policies, cluster) in [
        ("", "1 2"),
        ("external", "1 2"),
        // Without an external place its policy does not count.
        ("external-local unreachable", "1 2"),
    ] {
        check(policies, some, cluster, "", true);
        check(policies, remote, cluster, "", true);
    }
    for (policies, cluster) in [
        ("internal-local", ""),
        ("internal-local unreachable external-local", ""),
        ("internal-local external", "1 2"),
        ("external-local", "1 2"),
        ("internal-local external-local", "1 2"),
    ] {
        check(policies, some, cluster, "1", true);
        check(policies, remote, cluster, "", true);
        check(policies, "", "", "", false);
        check(policies, "1 local; 2 serving local; 3", "", "", false);
    }
}

#[test]
fn local_endpoints_fall_back_apart_from_those_of_the_cluster() {
    let endpoints = "1 ready; 2 local; 3 serving terminating local; 4 serving terminating";
    check("external-local", endpoints, "1", "3", true);
    check("internal-local", endpoints, "", "3", true);
    check("external-local", "1 ready local; 2 serving terminating local; 3 ready", "1 3", "1", true);
    let ending = "1 serving terminating; 2 serving terminating";
    check("internal-local external-local", ending, "1 2", "", true);
    check("internal-local", ending, "", "", true);
}
