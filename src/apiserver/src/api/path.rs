//! What a path means.

use percent_encoding::percent_decode_str;

/// Longest path that is looked at.
pub const PATH_MAX: usize = 4096;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`: what paths there are.
    Root,
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`, and single checks below them.
    Health,
    /// `/metrics`.
    Metrics,
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
    /// `/openapi/v3`: what documents there are.
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

/// The object, or the objects, that a path names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The group, empty for the core.
    pub group: String,
    /// The version.
    pub version: String,
    /// The namespace, if there is one in the path.
    pub namespace: Option<String>,
    /// `services`.
    pub plural: String,
    /// The name, if one object is meant.
    pub name: Option<String>,
    /// `status`.
    pub subresource: Option<String>,
    /// Whether the path itself asks for a watch: `/api/v1/watch/services`.
    pub is_watch: bool,
}

/// Reads the path of a URL. `None` for what means nothing: nothing is cleaned up, so that `..`, `//` and `%2f` lead
/// nowhere.
pub fn parse(path: &str) -> Option<Route> {
    if path == "/" {
        return Some(Route::Root);
    }
    if path.len() > PATH_MAX {
        return None;
    }
    let path = path.strip_prefix('/')?;
    // Upstream serves the indices with a slash behind them as well.
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    let parts: Vec<String> = path.split('/').map(segment).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["version"] => Some(Route::Version),
        ["healthz" | "livez" | "readyz"] | ["healthz" | "livez" | "readyz", "ping"] => Some(Route::Health),
        ["metrics"] => Some(Route::Metrics),
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
        ["api", version, ref rest @ ..] => below("", version, rest),
        ["apis", group, version, ref rest @ ..] => below(group, version, rest),
        _ => None,
    }
}

/// One part of a path, decoded.
fn segment(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let is_plain = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0', '%']);
    is_plain.then(|| text.into_owned())
}

fn below(group: &str, version: &str, rest: &[&str]) -> Option<Route> {
    if let ["watch", rest @ ..] = rest {
        let target = objects(group, version, rest).filter(|target| target.subresource.is_none())?;
        return Some(Route::Objects(Target { is_watch: true, ..target }));
    }
    if rest.is_empty() {
        return Some(Route::Kinds { group: group.to_owned(), version: version.to_owned() });
    }
    objects(group, version, rest).map(Route::Objects)
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let (namespace, rest) = match *rest {
        // Below a namespace are its own subresources, and everything that is in it.
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => (None, rest),
        ["namespaces", namespace, ref rest @ ..] => (Some(namespace), rest),
        _ => (None, rest),
    };
    let (plural, name, subresource) = match *rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(name), None),
        [plural, name, subresource] => (plural, Some(name), Some(subresource)),
        _ => return None,
    };
    Some(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.map(str::to_owned),
        plural: plural.to_owned(),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        is_watch: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found() {
        let networking = "networking.k8s.io";
        let table = [
            ("/api/v1/services", "", "", "services", "", ""),
            ("/api/v1/namespaces/a/services", "", "a", "services", "", ""),
            ("/api/v1/namespaces/a/services/b", "", "a", "services", "b", ""),
            ("/api/v1/namespaces/a/services/b/status", "", "a", "services", "b", "status"),
            ("/api/v1/namespaces", "", "", "namespaces", "", ""),
            ("/api/v1/namespaces/a", "", "", "namespaces", "a", ""),
            ("/api/v1/namespaces/a/status", "", "", "namespaces", "a", "status"),
            ("/api/v1/nodes/n%31", "", "", "nodes", "n1", ""),
            (
                "/apis/networking.k8s.io/v1/ipaddresses/2001:db8::1",
                networking,
                "",
                "ipaddresses",
                "2001:db8::1",
                "",
            ),
            (
                "/apis/networking.k8s.io/v1/ipaddresses/10.0%2e0.1",
                networking,
                "",
                "ipaddresses",
                "10.0.0.1",
                "",
            ),
            ("/apis/networking.k8s.io/v1/ipaddresses/a%3Ab", networking, "", "ipaddresses", "a:b", ""),
        ];
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (path, group, namespace, plural, name, subresource) in table {
            let expected = Target {
                group: group.to_owned(),
                version: "v1".to_owned(),
                namespace: some(namespace),
                plural: plural.to_owned(),
                name: some(name),
                subresource: some(subresource),
                is_watch: false,
            };
            assert_eq!(parse(path), Some(Route::Objects(expected.clone())), "{path}");
            // The same below `watch`, where no part of an object can be watched.
            let path = path.replacen("/v1/", "/v1/watch/", 1);
            let watched = Some(Route::Objects(Target { is_watch: true, ..expected }));
            assert_eq!(parse(&path), watched.filter(|_| subresource.is_empty()), "{path}");
        }
    }

    #[test]
    fn pages_are_found() {
        assert_eq!(parse("/"), Some(Route::Root));
        assert_eq!(parse("/readyz"), Some(Route::Health));
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
            "/healthz/x",
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
