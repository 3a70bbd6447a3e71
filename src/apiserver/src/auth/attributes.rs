//! What a request is about to do, in the words of the rules.

use percent_encoding::percent_decode_str;

use crate::api::parameters::Parameters;
use crate::selector::Selector;

/// What somebody does or asks to do (`authorizer.Attributes`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`; the method in lower case for paths that are no object's.
    pub verb: String,
    /// The namespace; empty for all.
    pub namespace: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The version of the group.
    pub version: String,
    /// `services`; empty if [`Self::path`] is no object's.
    pub resource: String,
    /// `status`; empty for the whole object.
    pub subresource: String,
    /// The name of the object; empty for all.
    pub name: String,
    /// A path that is no object's; empty for objects.
    pub path: String,
}

impl Attributes {
    /// Reads a request's line (`NewRequestInfo` in `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`).
    pub fn of(method: &str, path: &str, query: &str) -> Self {
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let mut found = Self::default();
        if found.read(method, &path, query).is_none() {
            (found.verb, found.path) = (method.to_lowercase(), path);
        }
        found
    }

    /// Whether this is about objects.
    pub(crate) fn is_about_objects(&self) -> bool {
        self.path.is_empty()
    }

    fn read(&mut self, method: &str, path: &str, query: &str) -> Option<()> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, mut rest) = match parts[..] {
            ["api", version, ref rest @ ..] if !rest.is_empty() => ("", version, rest),
            ["apis", group, version, ref rest @ ..] if !rest.is_empty() => (group, version, rest),
            _ => return None,
        };
        let mut verb = match method {
            "POST" => "create",
            "GET" | "HEAD" => "get",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "",
        };
        if let ["watch", below @ ..] = rest {
            (verb, rest) = ("watch", Some(below).filter(|below| !below.is_empty())?);
        }
        if let ["namespaces", namespace, below @ ..] = rest {
            (*namespace).clone_into(&mut self.namespace);
            // A namespace has parts of its own.
            if !matches!(below, [] | ["status" | "finalize", ..]) {
                rest = below;
            }
        }
        let part = |index: usize| rest.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        (self.group, self.version) = (group.to_owned(), version.to_owned());
        (self.resource, self.name, self.subresource) = (part(0), part(1), part(2));
        if self.name.is_empty() && verb == "get" {
            let parameters = Parameters::parse(query);
            verb = if parameters.watch { "watch" } else { "list" };
            self.name = selected_name(&parameters).unwrap_or_default();
        } else if self.name.is_empty() && verb == "delete" {
            verb = "deletecollection";
        }
        verb.clone_into(&mut self.verb);
        Some(())
    }
}

/// The only name that a list may have by its field selector.
fn selected_name(parameters: &Parameters) -> Option<String> {
    let selector = Selector::parse("", &parameters.field_selector).ok()?;
    let name = selector.name()?;
    let is_segment = !matches!(name, "." | "..") && !name.contains(['/', '%']);
    is_segment.then(|| name.to_owned())
}
