//! Reads a Pod from a Kubernetes manifest or a crictl pod config.

use serde::Deserialize;
use serde_saphyr::{SnippetMode, UserMessageFormatter, render_options};

use pod::Pod;
use pod::annotations::Annotations;
use pod::annotations::PodAnnotations;
use pod::host_aliases::HostAlias;
use pod::host_name::{NameFields, Naming};
use pod::validation::{go_quote, printable};

/// What a manifest says of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The pod.
    pub pod: Pod,
    /// Whether it is on the node's network.
    pub host_network: bool,
    /// The addresses that the manifest itself has.
    pub pod_ips: Vec<String>,
}

/// Both forms in one: a Kubernetes Pod has a `spec`, a crictl pod config has not.
#[derive(Debug, Default, Deserialize)]
struct Wire {
    kind: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<Spec>,
    status: Option<Status>,
    hostname: Option<String>,
    annotations: Option<Annotations>,
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    hostname: Option<String>,
    subdomain: Option<String>,
    hostname_override: Option<String>,
    host_network: Option<bool>,
    host_aliases: Option<Vec<HostAlias>>,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIp>>,
}

#[derive(Debug, Deserialize)]
struct PodIp {
    ip: String,
}

#[derive(Debug, Default, Deserialize)]
struct Linux {
    security_context: Option<SecurityContext>,
}

#[derive(Debug, Default, Deserialize)]
struct SecurityContext {
    namespace_options: Option<NamespaceOptions>,
}

#[derive(Debug, Default, Deserialize)]
struct NamespaceOptions {
    network: Option<NamespaceMode>,
}

/// The CRI's `NamespaceMode`, by number as crictl has it, or by name.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum NamespaceMode {
    Number(i64),
    Name(String),
}

/// The CRI's number for the node's own namespace.
const NODE: i64 = 2;
const DEFAULT_NAMESPACE: &str = "default";
const POD: &str = "Pod";

impl Manifest {
    /// Reads a manifest, as JSON where it begins with a brace and as YAML otherwise. Of several YAML documents one has to
    /// be a pod; the others are passed over.
    ///
    /// # Errors
    /// Errors, one for each line.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let wire = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| vec![format!("cannot read the pod: {error}")])?
        } else {
            only_pod(documents(text)?)?
        };
        Self::of(wire)
    }

    fn of(wire: Wire) -> Result<Self, Vec<String>> {
        if let Some(kind) = wire.kind.as_deref().filter(|kind| *kind != POD) {
            return Err(vec![format!(
                "kind: Unsupported value: {}: supported values: \"Pod\"",
                go_quote(kind)
            )]);
        }
        let metadata = wire.metadata.unwrap_or_default();
        let Some(pod_name) = metadata.name.filter(|name| !name.is_empty()) else {
            return Err(vec!["metadata.name: Required value: name or generateName is required".to_owned()]);
        };
        let namespace = metadata.namespace.filter(|namespace| !namespace.is_empty());
        let names = NameFields {
            pod_name,
            namespace: namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            ..NameFields::default()
        };
        match wire.spec {
            Some(spec) => Ok(from_spec(names, spec, wire.status.unwrap_or_default())),
            None if wire.kind.is_some() => {
                Ok(from_spec(names, Spec::default(), wire.status.unwrap_or_default()))
            }
            None => from_crictl(names, wire.hostname, wire.annotations.as_ref(), wire.linux),
        }
    }
}

fn from_spec(names: NameFields, spec: Spec, status: Status) -> Manifest {
    let names = NameFields {
        hostname: spec.hostname,
        subdomain: spec.subdomain,
        hostname_override: spec.hostname_override,
        ..names
    };
    Manifest {
        pod: Pod { names, aliases: spec.host_aliases.unwrap_or_default() },
        host_network: spec.host_network.unwrap_or_default(),
        pod_ips: status.pod_ips.unwrap_or_default().into_iter().map(|pod_ip| pod_ip.ip).collect(),
    }
}

/// crictl's file has no HostAliases, subdomain or addresses: our annotations carry them.
fn from_crictl(
    names: NameFields,
    hostname: Option<String>,
    annotations: Option<&Annotations>,
    linux: Option<Linux>,
) -> Result<Manifest, Vec<String>> {
    let annotations = PodAnnotations::new(annotations, None);
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let names = NameFields {
        // No API server sees such a pod: its engine takes any name.
        naming: Naming::Engine,
        engine_hostname: hostname,
        hostname: owned(annotations.hostname()),
        subdomain: owned(annotations.subdomain()),
        hostname_override: owned(annotations.hostname_override()),
        ..names
    };
    let failed = |error: pod::annotations::AnnotationError| vec![error.to_string()];
    let network = linux
        .and_then(|linux| linux.security_context)
        .and_then(|context| context.namespace_options)
        .and_then(|options| options.network);
    Ok(Manifest {
        pod: Pod { names, aliases: annotations.host_aliases().map_err(failed)? },
        host_network: network.is_some_and(|mode| {
            mode == NamespaceMode::Number(NODE) || mode == NamespaceMode::Name("NODE".into())
        }),
        pod_ips: annotations.pod_ips().map_err(failed)?,
    })
}

/// The documents of a YAML text that are not empty.
fn documents(text: &str) -> Result<Vec<Wire>, Vec<String>> {
    // The messages for users name no option of the library.
    let options = render_options! { formatter: &UserMessageFormatter, snippets: SnippetMode::Off };
    serde_saphyr::from_multiple(text)
        .map_err(|error| vec![format!("cannot read the pod: {}", error.render_with_options(options))])
}

/// The one document that is a pod. A file with none gives its first document, or an empty one.
fn only_pod(documents: Vec<Wire>) -> Result<Wire, Vec<String>> {
    let (mut pods, others): (Vec<Wire>, Vec<Wire>) =
        documents.into_iter().partition(|wire| wire.kind.as_deref().is_none_or(|kind| kind == POD));
    if pods.len() > 1 {
        let name = |wire: &Wire| Some(printable(wire.metadata.as_ref()?.name.as_ref()?).into_owned());
        let names: Vec<String> = pods.iter().filter_map(name).collect();
        return Err(vec![format!(
            "cannot render {} pods at once ({}): expected one in the file",
            pods.len(),
            names.join(", ")
        )]);
    }
    Ok(pods.pop().or_else(|| others.into_iter().next()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubernetes_pod() {
        let yaml = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  hostname: h\n  subdomain: s\n  \
            hostAliases:\n  - ip: \"127.0.0.1\"\n    hostnames:\n    - \"foo.local\"\n    - \"bar.local\"\n  \
            containers:\n  - name: c\n    image: i\nstatus:\n  podIPs:\n  - ip: 10.0.0.1\n  - ip: fd00::1\n";
        let manifest = Manifest::parse(yaml).unwrap();
        assert_eq!(manifest.pod.names.namespace, "default");
        assert_eq!(manifest.pod.aliases[0].hostnames, ["foo.local", "bar.local"]);
        assert_eq!(manifest.pod_ips, ["10.0.0.1", "fd00::1"]);
        assert!(!manifest.host_network);
        let json = r#"{"kind":"Pod","metadata":{"name":"web","namespace":"n"},"spec":{"hostNetwork":true}}"#;
        assert!(Manifest::parse(json).unwrap().host_network);
    }

    #[test]
    fn a_crictl_pod_config() {
        let yaml = "metadata:\n  name: web\n  namespace: shop\n  uid: u\n  attempt: 1\nhostname: front\nlinux:\n  \
            security_context:\n    namespace_options:\n      network: 2\nannotations:\n  \
            podhosts.io/host-aliases: '[{\"ip\":\"10.1.2.3\",\"hostnames\":[\"a\"]}]'\n  podhosts.io/subdomain: s\n  \
            podhosts.io/pod-ips: 10.0.0.1,fd00::1\n";
        let manifest = Manifest::parse(yaml).unwrap();
        assert!(manifest.host_network);
        assert_eq!(manifest.pod.names.engine_hostname.as_deref(), Some("front"));
        assert_eq!(manifest.pod.names.subdomain.as_deref(), Some("s"));
        assert_eq!((manifest.pod.aliases.len(), manifest.pod_ips.len()), (1, 2));
    }

    #[test]
    fn an_engines_pod_may_be_called_anything() {
        let network = pod::Network::Pod(vec!["10.0.0.1".into()]);
        let rendered = |kind: &str, name: &str, hostname: &str| {
            let metadata = serde_json::json!({"name": name, "namespace": name});
            let text = format!("{{{kind}\"metadata\": {metadata}, \"hostname\": {hostname:?}}}");
            let pod = Manifest::parse(&text).unwrap().pod;
            let file = pod.hosts_file(&network, "d", pod::validation::ip::IpRules::Strict)?;
            Ok::<_, Vec<String>>(String::from_utf8(file).unwrap().lines().last().unwrap().to_owned())
        };
        assert_eq!(rendered("", "Web_1", "").unwrap(), "10.0.0.1\tWeb_1");
        assert_eq!(rendered("", "my pod\n", "").unwrap(), "10.0.0.1\tmy-pod-");
        assert_eq!(rendered("", "Web_1", "Front.A").unwrap(), "10.0.0.1\tFront.A");
        let errors = rendered("\"kind\": \"Pod\", ", "Web_1", "").unwrap_err();
        assert!(errors[0].starts_with("metadata.name: Invalid value: \"Web_1\""), "{errors:?}");
    }

    #[test]
    fn of_several_documents_the_one_pod() {
        let pod = "kind: Pod\nmetadata: {name: web}\n";
        let service = "kind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 80}]}\n";
        for text in [
            format!("---\n{pod}---\n"),
            format!("{pod}---\n# nothing\n---\n{service}"),
            format!("{service}---\n{pod}...\n"),
        ] {
            assert_eq!(Manifest::parse(&text).unwrap().pod.names.pod_name, "web", "{text:?}");
        }
        let error = |text: String| Manifest::parse(&text).unwrap_err().join("\n");
        assert_eq!(
            error(format!("{pod}---\nmetadata: {{name: front}}\n")),
            "cannot render 2 pods at once (web, front): expected one in the file"
        );
        let odd = "metadata: {name: \"a\\nb\"}\n";
        assert!(error(format!("{pod}---\n{odd}")).contains(r"(web, a\nb)"));
        assert!(
            error(format!("{service}---\n{service}")).starts_with("kind: Unsupported value: \"Service\"")
        );
    }

    #[test]
    fn what_it_refuses() {
        for (text, expected) in [
            (
                "metadata: {name: a, name: b}",
                "duplicate mapping key `name` is not allowed here at line 1, column 21",
            ),
            ("kind: Pod\n---\nmetadata: {name: [a]}", "at line 3, column 18"),
            ("", "metadata.name: Required value"),
            ("[1]", "cannot read the pod"),
            ("{", "cannot read the pod: EOF"),
            ("a: [", "cannot read the pod"),
            ("kind: Deployment\nmetadata: {name: a}", "kind: Unsupported value: \"Deployment\""),
            ("kind: Pod\nmetadata: {}", "metadata.name: Required value"),
            ("metadata: {name: a}\nannotations: {podhosts.io/host-aliases: x}", "podhosts.io/host-aliases"),
            (
                "kind: Pod\nmetadata: {name: a}\nspec: {hostAliases: [{ip: 1.1.1.1, name: x}]}",
                "cannot read the pod",
            ),
        ] {
            let errors = Manifest::parse(text).unwrap_err();
            assert!(errors[0].contains(expected), "{text:?}: {errors:?}");
            assert!(errors.iter().all(|error| !error.contains('\n')), "{errors:?}");
        }
    }
}
