//! Discovery: which groups, versions and kinds there are.

use serde_json::{Value, json};

use crate::kind::{Kind, Source, Subresource, Verb};
use crate::kinds::requested;

/// All kinds, with those that never have objects.
type Kinds<'a> = &'a [&'static Kind];

/// `/version`, with the version of Kubernetes whose rules the server follows.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": format!("v1.36.0+podhosts-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("linux/{}", match std::env::consts::ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other }),
    })
}

/// `/`.
pub fn paths(kinds: Kinds<'_>) -> Value {
    let mut paths = vec!["/api".to_owned(), "/apis".to_owned()];
    for (group, versions) in groups(kinds) {
        if group.is_empty() {
            paths.extend(versions.iter().map(|version| format!("/api/{version}")));
        } else {
            paths.push(format!("/apis/{group}"));
            paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
        }
    }
    paths.extend(
        ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned),
    );
    paths.sort_unstable();
    json!({"paths": paths})
}

/// `/api`.
pub fn core_versions(kinds: Kinds<'_>, address: &str) -> Value {
    let versions =
        groups(kinds).into_iter().filter(|(group, _)| group.is_empty()).flat_map(|(_, versions)| versions);
    json!({
        "kind": "APIVersions", "versions": versions.collect::<Vec<_>>(),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub fn group_list(kinds: Kinds<'_>) -> Value {
    let groups = groups(kinds).into_iter().filter(|(group, _)| !group.is_empty());
    let groups: Vec<Value> = groups.map(|(group, versions)| group_entry(group, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub fn group(kinds: Kinds<'_>, wanted: &str) -> Option<Value> {
    let (group, versions) =
        groups(kinds).into_iter().find(|(group, _)| *group == wanted && !group.is_empty())?;
    let mut entry = group_entry(group, &versions);
    entry["kind"] = "APIGroup".into();
    entry["apiVersion"] = "v1".into();
    Some(entry)
}

fn group_entry(group: &str, versions: &[&str]) -> Value {
    let entry = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let entries: Vec<Value> = versions.iter().map(entry).collect();
    json!({"name": group, "versions": entries, "preferredVersion": entries.first()})
}

/// `/api/v1`, `/apis/<group>/<version>`.
pub fn kinds_of(kinds: Kinds<'_>, group: &str, version: &str) -> Option<Value> {
    let kinds: Vec<&'static Kind> = of_version(kinds, group, version).collect();
    let group_version = kinds.first()?.api_version();
    let mut resources = Vec::new();
    for kind in kinds {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.name,
            "verbs": kind.verbs,
        });
        if !kind.short_names.is_empty() {
            entry["shortNames"] = kind.short_names.into();
        }
        if !kind.categories.is_empty() {
            entry["categories"] = kind.categories.into();
        }
        resources.push(entry);
        for (subresource, verbs) in parts(kind) {
            let mut entry = json!({
                "name": format!("{}/{}", kind.plural, subresource.name()), "singularName": "", "namespaced": kind.namespaced,
                "kind": kind.name, "verbs": verbs,
            });
            if let Some(of) = requested(*subresource) {
                entry["kind"] = of.name.into();
                // Said where it is another one than that of the list.
                if of.group != kind.group {
                    (entry["group"], entry["version"]) = (of.group.into(), of.version.into());
                }
            }
            resources.push(entry);
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}

/// `/api` or `/apis` with everything in it, in a version of `apidiscovery.k8s.io`.
pub fn aggregated(kinds: Kinds<'_>, is_core: bool, discovery_version: &str) -> Value {
    let groups = groups(kinds).into_iter().filter(|(group, _)| group.is_empty() == is_core);
    let items: Vec<Value> = groups
        .map(|(group, versions)| {
            let version = |version: &&str| {
                let resources: Vec<Value> = of_version(kinds, group, version).map(aggregated_kind).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            };
            let versions: Vec<Value> = versions.iter().map(version).collect();
            let metadata = if is_core { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{discovery_version}"),
        "metadata": {}, "items": items,
    })
}

fn response_kind(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.name})
}

fn aggregated_kind(kind: &'static Kind) -> Value {
    let response = response_kind(kind);
    let mut entry = json!({
        "resource": kind.plural, "responseKind": response, "singularResource": kind.singular,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        entry["categories"] = kind.categories.into();
    }
    let parts: Vec<Value> = parts(kind)
        .map(|(part, verbs)| {
            let response = requested(*part).map_or_else(|| response.clone(), response_kind);
            json!({"subresource": part.name(), "responseKind": response, "verbs": verbs})
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = parts.into();
    }
    entry
}

/// The order of the groups: clients that look for a name take the first group that has it
/// (`DefaultGenericAPIServicePriorities` in `pkg/controlplane/apiserver/aggregator.go`, and
/// `cmd/kube-apiserver/app/aggregator.go`).
const GROUPS: [&str; 13] = [
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
];

/// The groups, with their versions.
fn groups(kinds: Kinds<'_>) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for kind in kinds {
        match groups.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version) => {}
            Some((_, versions)) => versions.push(kind.version),
            None => groups.push((kind.group, vec![kind.version])),
        }
    }
    let place = |group: &str| GROUPS.iter().position(|known| *known == group).unwrap_or(GROUPS.len());
    groups.sort_by_key(|(group, _)| place(group));
    groups
}

/// The parts of a kind's objects, by name.
fn parts(kind: &'static Kind) -> impl Iterator<Item = &'static (Subresource, &'static [Verb])> {
    let mut parts: Vec<_> = kind.subresources.iter().collect();
    parts.sort_by_key(|(part, _)| part.name());
    parts.into_iter()
}

/// The kinds of one version of a group, by name, as upstream has them: `kubectl get all` shows them in this order.
fn of_version(kinds: Kinds<'_>, group: &str, version: &str) -> impl Iterator<Item = &'static Kind> {
    let kinds = kinds.iter().copied().filter(|kind| kind.group == group && kind.version == version);
    let mut kinds: Vec<&'static Kind> = kinds.collect();
    kinds.sort_by_key(|kind| kind.plural);
    kinds.into_iter()
}

/// The kinds of one version of a group that have objects.
pub fn in_use(kinds: Kinds<'_>, group: &str, version: &str) -> impl Iterator<Item = &'static Kind> {
    of_version(kinds, group, version).filter(|kind| kind.source != Source::Nowhere)
}
