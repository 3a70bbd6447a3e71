//! Parses paths.

use percent_encoding::percent_decode_str;

use crate::kind::{Kind, Subresource, Verb};

/// Longest path that is parsed.
pub const PATH_MAX: usize = 4096;

/// The resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`: the list of paths.
    Root,
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`, and single checks below them, of which there may be none with this name.
    Health(Health, Option<String>),
    /// `/metrics`.
    Metrics,
    /// `/.well-known/openid-configuration`: who signs tokens.
    Issuer,
    /// `/openid/v1/jwks`: the keys by which tokens are known.
    TokenKeys,
    /// `/api`: the versions of the core group.
    CoreVersions,
    /// `/apis`: the other groups.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`: the kinds of a version.
    Kinds {
        /// The group, empty for the core.
        group: String,
        /// The version.
        version: String,
    },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`: the list of documents.
    OpenApiV3,
    /// `/openapi/v3/<...>`: the document of a version.
    OpenApiV3Of {
        /// The group, empty for the core.
        group: String,
        /// The version.
        version: String,
    },
    /// An object, or all of a kind.
    Objects(Target),
}

/// A path with health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// `/healthz`.
    Healthz,
    /// `/livez`.
    Livez,
    /// `/readyz`.
    Readyz,
}

/// The object or objects that a path names. Only targets that their kind can have are made: an object of a namespaced kind
/// has a namespace, a part is one of the kind's, and only kinds with the verb are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind.
    pub kind: &'static Kind,
    /// Which of its objects.
    pub place: Place,
    /// Whether the path itself asks for a watch: `/api/v1/watch/services`.
    pub is_watch: bool,
}

/// The objects of a kind that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All objects, or those of a namespace.
    All(Option<String>),
    /// One object.
    One {
        /// Its namespace; empty for kinds without namespaces.
        namespace: String,
        /// Its name.
        name: String,
        /// The subresource, if one is asked for.
        part: Option<Subresource>,
    },
}

/// Parses the path of a URL, which may name one of `kinds`. Returns `None` for all other paths. Paths are not normalized, so
/// `..`, `//` and `%2f` are invalid.
pub fn parse(path: &str, kinds: &[&'static Kind]) -> Option<Route> {
    if path == "/" {
        return Some(Route::Root);
    }
    if path.len() > PATH_MAX {
        return None;
    }
    let path = path.strip_prefix('/')?;
    // Upstream also serves the indices with a trailing slash.
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let parts: Vec<String> = path.split('/').map(segment).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["version"] => Some(Route::Version),
        ["healthz", ref check @ ..] => health(Health::Healthz, check),
        ["livez", ref check @ ..] => health(Health::Livez, check),
        ["readyz", ref check @ ..] => health(Health::Readyz, check),
        ["metrics"] => Some(Route::Metrics),
        [".well-known", "openid-configuration"] => Some(Route::Issuer),
        ["openid", "v1", "jwks"] => Some(Route::TokenKeys),
        ["api"] => Some(Route::CoreVersions),
        ["apis"] => Some(Route::Groups),
        ["apis", group] => Some(Route::Group(group.to_owned())),
        ["openapi", "v2"] => Some(Route::OpenApiV2),
        ["openapi", "v3"] => Some(Route::OpenApiV3),
        ["openapi", "v3", "api", version] => {
            Some(Route::OpenApiV3Of { group: String::new(), version: version.to_owned() })
        }
        ["openapi", "v3", "apis", group, version] => {
            Some(Route::OpenApiV3Of { group: group.to_owned(), version: version.to_owned() })
        }
        ["api", version, ref rest @ ..] => below(kinds, "", version, rest),
        ["apis", group, version, ref rest @ ..] => below(kinds, group, version, rest),
        _ => None,
    }
}

fn health(path: Health, check: &[&str]) -> Option<Route> {
    match *check {
        [] => Some(Route::Health(path, None)),
        [check] => Some(Route::Health(path, Some(check.to_owned()))),
        _ => None,
    }
}

/// One part of a path, decoded.
fn segment(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let is_plain = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0', '%']);
    is_plain.then(|| text.into_owned())
}

fn below(kinds: &[&'static Kind], group: &str, version: &str, rest: &[&str]) -> Option<Route> {
    if let ["watch", rest @ ..] = rest {
        let target = objects(kinds, group, version, rest)?;
        let is_whole = !matches!(target.place, Place::One { part: Some(_), .. });
        let can_be_watched = is_whole && target.kind.allows(None, Verb::Watch);
        return can_be_watched.then_some(Route::Objects(Target { is_watch: true, ..target }));
    }
    if rest.is_empty() {
        return Some(Route::Kinds { group: group.to_owned(), version: version.to_owned() });
    }
    objects(kinds, group, version, rest).map(Route::Objects)
}

fn objects(kinds: &[&'static Kind], group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let (namespace, rest) = match *rest {
        // Below a namespace are its own subresources, and everything that is in it.
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => (None, rest),
        ["namespaces", namespace, ref rest @ ..] => (Some(namespace), rest),
        _ => (None, rest),
    };
    let (plural, name, part) = match *rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(name), None),
        [plural, name, part] => (plural, Some(name), Some(part)),
        _ => return None,
    };
    let kind = *kinds.iter().find(|kind| kind.is(group, version, plural))?;
    let part = match part {
        None => None,
        Some(part) => Some(kind.subresource(part)?),
    };
    let place = match (name, namespace) {
        (_, Some(_)) if !kind.namespaced => return None,
        (Some(_), None) if kind.namespaced => return None,
        (None, namespace) => Place::All(namespace.map(str::to_owned)),
        (Some(name), namespace) => {
            Place::One { namespace: namespace.unwrap_or_default().to_owned(), name: name.to_owned(), part }
        }
    };
    Some(Target { kind, place, is_watch: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{self, ip_address, namespace, node, service};

    fn parse(path: &str) -> Option<Route> {
        super::parse(path, &kinds::every())
    }

    #[test]
    fn objects_are_found() {
        let (services, namespaces, nodes) = (&service::KIND, &namespace::KIND, &node::KIND);
        let addresses = &ip_address::KIND;
        let table = [
            ("/api/v1/services", services, "", "", ""),
            ("/api/v1/namespaces/a/services", services, "a", "", ""),
            ("/api/v1/namespaces/a/services/b", services, "a", "b", ""),
            ("/api/v1/namespaces/a/services/b/status", services, "a", "b", "status"),
            ("/api/v1/namespaces", namespaces, "", "", ""),
            ("/api/v1/namespaces/a", namespaces, "", "a", ""),
            ("/api/v1/namespaces/a/status", namespaces, "", "a", "status"),
            ("/api/v1/nodes/n%31", nodes, "", "n1", ""),
            ("/apis/networking.k8s.io/v1/ipaddresses/2001:db8::1", addresses, "", "2001:db8::1", ""),
            ("/apis/networking.k8s.io/v1/ipaddresses/10.0%2e0.1", addresses, "", "10.0.0.1", ""),
            ("/apis/networking.k8s.io/v1/ipaddresses/a%3Ab", addresses, "", "a:b", ""),
        ];
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (path, kind, namespace, name, part) in table {
            let place = match some(name) {
                None => Place::All(some(namespace)),
                Some(name) => {
                    Place::One { namespace: namespace.to_owned(), name, part: kind.subresource(part) }
                }
            };
            let expected = Target { kind, place, is_watch: false };
            assert_eq!(parse(path), Some(Route::Objects(expected.clone())), "{path}");
            // The same below `watch`, which has no subresources.
            let path = path.replacen("/v1/", "/v1/watch/", 1);
            let watched = Some(Route::Objects(Target { is_watch: true, ..expected }));
            assert_eq!(parse(&path), watched.filter(|_| part.is_empty()), "{path}");
        }
    }

    #[test]
    fn what_a_kind_cannot_have_is_not_found() {
        for path in [
            "/api/v1/gadgets",
            "/api/v2/services",
            "/apis/apps/v1/services",
            "/api/v1/services/b",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/nodes/b",
            "/api/v1/namespaces/a/services/b/scale",
            "/api/v1/namespaces/a/services/b/finalize",
            "/api/v1/namespaces/a/pods/b/status",
            "/apis/apps/v1/watch/deployments",
            "/apis/authorization.k8s.io/v1/watch/selfsubjectaccessreviews",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn pages_are_found() {
        assert_eq!(parse("/"), Some(Route::Root));
        assert_eq!(parse("/readyz"), Some(Route::Health(Health::Readyz, None)));
        assert_eq!(parse("/livez/etcd"), Some(Route::Health(Health::Livez, Some("etcd".to_owned()))));
        assert_eq!(parse("/api/"), Some(Route::CoreVersions));
        assert_eq!(parse("/apis/discovery.k8s.io"), Some(Route::Group("discovery.k8s.io".to_owned())));
        assert_eq!(parse("/api/v1"), Some(Route::Kinds { group: String::new(), version: "v1".to_owned() }));
        let document = Route::OpenApiV3Of { group: "networking.k8s.io".to_owned(), version: "v1".to_owned() };
        assert_eq!(parse("/openapi/v3/apis/networking.k8s.io/v1"), Some(document));
    }

    #[test]
    fn tricks_lead_nowhere() {
        for path in [
            "",
            "api",
            "//",
            "/api//v1",
            "/api/v1//services",
            "/./api",
            "/api/../version",
            "/api/%2e%2e/version",
            "/api/v1/namespaces/a%2fservices/b",
            "/api/v1/services/%00",
            "/api/v1/services/%ff",
            "/%252e%252e/version",
            "/api/v1/namespaces/a/services/b/status/c",
            "/api/v1/watch",
            "/api/v1/watch/",
            "/API",
            "/healthz/x/y",
            "/openapi/v3/x",
            "/etc/passwd",
            "/.",
            "/%2e",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
        assert_eq!(parse(&format!("/api/v1/{}", "a/".repeat(PATH_MAX))), None);
    }
}
