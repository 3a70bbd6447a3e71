//! What a request is about, by cases of upstream's own test (`requestinfo_test.go` in
//! `k8s.io/apiserver/pkg/endpoints/request`).

use crate::api::path::{self, Place, Route};
use crate::auth::Attributes;

#[test]
fn requests_are_read_as_upstream_reads_them() {
    // Method and path, then verb, group, namespace, resource, subresource, name; `-` for one that is empty.
    let objects = [
        ("GET /api/v1/namespaces", "list - - namespaces - -"),
        ("GET /api/v1/namespaces/other", "get - other namespaces - other"),
        ("PUT /api/v1/namespaces/other/finalize", "update - other namespaces finalize other"),
        ("PUT /api/v1/namespaces/other/status", "update - other namespaces status other"),
        ("GET /api/v1/namespaces/other/pods", "list - other pods - -"),
        ("GET /api/v1/namespaces/other/pods/foo", "get - other pods - foo"),
        ("HEAD /api/v1/namespaces/other/pods/foo", "get - other pods - foo"),
        ("GET /api/v1/pods", "list - - pods - -"),
        ("HEAD /api/v1/pods", "list - - pods - -"),
        ("GET /api/v1/pods?watch=true", "watch - - pods - -"),
        ("GET /api/v1/pods?watch=1", "watch - - pods - -"),
        ("GET /api/v1/pods?watch=false", "list - - pods - -"),
        ("GET /api/v1/watch/pods", "watch - - pods - -"),
        ("GET /api/v1/watch/namespaces/other/pods", "watch - other pods - -"),
        ("GET /api/v1/namespaces/other/pods/foo/status", "get - other pods status foo"),
        ("PATCH /api/v1/nodes/n1/status", "patch - - nodes status n1"),
        ("POST /api/v1/namespaces/other/pods", "create - other pods - -"),
        ("POST /api/v1/namespaces/a/serviceaccounts/b/token", "create - a serviceaccounts token b"),
        ("DELETE /api/v1/namespaces/other/pods", "deletecollection - other pods - -"),
        ("DELETE /api/v1/namespaces/other/pods/foo", "delete - other pods - foo"),
        ("GET /apis/discovery.k8s.io/v1/endpointslices", "list discovery.k8s.io - endpointslices - -"),
        ("GET /apis/apps/v1/namespaces/a/daemonsets/b/", "get apps a daemonsets - b"),
        ("GET /api/v1/namespaces/a/n%6fdes/b", "get - a nodes - b"),
        // A field selector for one name counts as that name.
        ("GET /api/v1/nodes?fieldSelector=metadata.name%3Dn1", "list - - nodes - n1"),
        ("GET /api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn1", "watch - - nodes - n1"),
        ("GET /api/v1/nodes?fieldSelector=metadata.name%21%3Dn1", "list - - nodes - -"),
        ("GET /api/v1/nodes?fieldSelector=metadata.name%3D%2E%2E", "list - - nodes - -"),
        ("DELETE /api/v1/nodes?fieldSelector=metadata.name%3Dn1", "deletecollection - - nodes - -"),
    ];
    for (line, expected) in objects {
        let found = of(line);
        let parts =
            [&found.verb, &found.group, &found.namespace, &found.resource, &found.subresource, &found.name];
        let shown = parts.map(|part| if part.is_empty() { "-" } else { part.as_str() });
        assert_eq!(shown.join(" "), expected, "{line}");
        assert!(found.is_about_objects(), "{line}");
    }
    for line in [
        "GET /",
        "GET /api",
        "GET /api/v1",
        "GET /apis/apps",
        "GET /apis/apps/v1",
        "POST /healthz",
        "GET /api/v1/watch",
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let found = of(line);
        assert_eq!((found.verb, found.path), (method.to_lowercase(), path.to_owned()), "{line}");
    }
}

fn of(line: &str) -> Attributes {
    let (method, rest) = line.split_once(' ').unwrap();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Attributes::of(method, path, query)
}

/// Whatever the router finds in a path, the rules are asked about.
#[test]
fn rules_and_router_read_the_same() {
    let kinds = crate::kinds::every();
    for kind in &kinds {
        let base = if kind.group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{}/{}", kind.group, kind.version)
        };
        let scope = if kind.namespaced { "/namespaces/ns" } else { "" };
        let parts = kind.subresources.iter().map(|(part, _)| format!("/{}", part.name()));
        for part in parts.chain([String::new()]) {
            let line = format!("{base}{scope}/{}/name{part}", kind.plural);
            let Some(Route::Objects(target)) = path::parse(&line, &kinds) else { panic!("{line}") };
            let asked = Attributes::of("GET", &line, "");
            let Place::One { name, part, .. } = target.place else { panic!("{line}") };
            assert_eq!(
                (asked.group.as_str(), asked.resource.as_str()),
                (target.kind.group, target.kind.plural)
            );
            assert_eq!(
                (asked.name, asked.subresource),
                (name, part.map_or("", |part| part.name()).to_owned())
            );
        }
    }
}
