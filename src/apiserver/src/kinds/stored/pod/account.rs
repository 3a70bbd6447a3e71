//! The service account of a new pod, and the volume with its token (`plugin/pkg/admission/serviceaccount/admission.go`).
//! Which secrets a pod may use is not checked.

use serde_json::{Map, Value, json};

use super::KIND;
use super::validation::{list, text};
use crate::auth::UNASKED;
use crate::kinds::service_account;
use crate::kinds::stored::account::DEFAULT;
use crate::kinds::stored::manifest::{CERTIFICATES, CERTIFICATES_KEY};
use crate::object::Object;
use crate::registry::suffix;
use crate::resource::Transaction;
use crate::status::ApiError;

/// Beginning of the volume's name.
const VOLUME: &str = "kube-api-access-";
/// Where containers expect it.
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The annotation of a pod that a kubelet has from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Mode of the files in the volume: 0644.
const FILE_MODE: u32 = 420;

/// Gives a pod its account, and what comes with that.
///
/// # Errors
/// `Forbidden` if there is no such account.
pub(super) fn admit(transaction: &mut dyn Transaction, pod: &mut Object) -> Result<(), ApiError> {
    let annotations = pod.metadata().get("annotations");
    if annotations.is_some_and(|all| !all[MIRROR].is_null()) {
        return match mirror_fault(pod.spec()) {
            Some(why) => Err(ApiError::forbidden(&KIND, pod.name(), why)),
            None => Ok(()),
        };
    }
    let name = Some(text(pod.spec(), "serviceAccountName")).filter(|name| !name.is_empty());
    let name = name.unwrap_or(DEFAULT).to_owned();
    let namespace = pod.namespace();
    let account = transaction.get(&service_account::KIND, namespace, &name)?.ok_or_else(|| {
        let why =
            format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        ApiError::forbidden(&KIND, pod.name(), &why)
    })?;
    complete(pod.spec_mut(), &account);
    Ok(())
}

fn complete(spec: &mut Map<String, Value>, account: &Object) {
    for key in ["serviceAccountName", "serviceAccount"] {
        spec.insert(key.to_owned(), account.name().into());
    }
    // The pod's word counts before the account's.
    let switch = "automountServiceAccountToken";
    let is_wanted = spec.get(switch).or_else(|| account.0.get(switch)).and_then(Value::as_bool);
    if is_wanted != Some(false) {
        mount(spec);
    }
    let (key, empty) = ("imagePullSecrets", |list: &Value| list.as_array().is_none_or(Vec::is_empty));
    if spec.get(key).is_none_or(empty)
        && let Some(secrets) = account.0.get(key).filter(|list| !empty(list))
    {
        spec.insert(key.to_owned(), secrets.clone());
    }
}

/// Mounts the account's token in each container that has nothing else at its place.
fn mount(spec: &mut Map<String, Value>) {
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let given = volumes.map(|volume| text(volume, "name")).find(|name| name.starts_with(VOLUME));
    let given = given.map(str::to_owned);
    let volume = given.clone().unwrap_or_else(|| format!("{VOLUME}{}", suffix()));
    let mut is_used = false;
    for key in ["initContainers", "containers"] {
        let containers = spec.get_mut(key).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
            if let Some(mounts) = mounts.as_array_mut()
                && !mounts.iter().any(|mount| text(mount, "mountPath") == PLACE)
            {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": PLACE}));
                is_used = true;
            }
        }
    }
    if given.is_none() && is_used {
        let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
        if let Some(volumes) = volumes.as_array_mut() {
            volumes.push(json!({"name": volume, "projected": sources()}));
        }
    }
}

fn sources() -> Value {
    let certificates = json!({"key": CERTIFICATES_KEY, "path": CERTIFICATES_KEY});
    let namespace =
        json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"defaultMode": FILE_MODE, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": UNASKED}},
        {"configMap": {"name": CERTIFICATES, "items": [certificates]}},
        {"downwardAPI": {"items": [namespace]}},
    ]})
}

/// Why a pod that a kubelet has from a file is refused.
fn mirror_fault(spec: &Value) -> Option<&'static str> {
    let kinds = ["initContainers", "containers"];
    let of_containers = || kinds.iter().flat_map(|key| list(&spec[*key]));
    let projected = || list(&spec["volumes"]).flat_map(|volume| list(&volume["projected"]["sources"]));
    let from = |container: &Value| {
        list(&container["env"]).any(|variable| !variable["valueFrom"]["secretKeyRef"].is_null())
            || list(&container["envFrom"]).any(|all| !all["secretRef"].is_null())
    };
    let has_secrets = list(&spec["imagePullSecrets"]).next().is_some()
        || list(&spec["volumes"]).any(|volume| !volume["secret"].is_null())
        || projected().any(|source| !source["secret"].is_null())
        || of_containers().any(from);
    if !text(spec, "serviceAccountName").is_empty() {
        Some("a mirror pod may not reference service accounts")
    } else if has_secrets {
        Some("a mirror pod may not reference secrets")
    } else if projected().any(|source| !source["serviceAccountToken"].is_null()) {
        Some("a mirror pod may not use ServiceAccountToken volume projections")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(spec: Value, account: Value) -> Value {
        let mut account = Object::from_value(account).unwrap();
        account.metadata_mut().insert("name".to_owned(), "sa".into());
        let mut spec = spec.as_object().unwrap().clone();
        complete(&mut spec, &account);
        spec.into()
    }

    #[test]
    fn a_token_is_mounted_where_it_is_wanted() {
        let with = |more: Value| {
            let mut spec = json!({"containers": [{"name": "a"}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        let [yes, no] = [true, false].map(|flag| json!({"automountServiceAccountToken": flag}));
        let empty = json!({});
        for (pod, account, expected) in [
            (&empty, &empty, true),
            (&empty, &no, false),
            (&empty, &yes, true),
            (&no, &empty, false),
            (&no, &yes, false),
            (&yes, &no, true),
        ] {
            let spec = completed(with(pod.clone()), account.clone());
            assert_eq!(spec["volumes"].is_array(), expected, "{pod} {account}");
            assert_eq!(spec["containers"][0]["volumeMounts"].is_array(), expected);
            assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("sa"), &json!("sa")));
        }
        let spec = completed(with(json!({"initContainers": [{"name": "b"}]})), json!({}));
        let volume = spec["volumes"][0]["name"].as_str().unwrap();
        assert!(volume.starts_with(VOLUME) && volume.len() == VOLUME.len() + 5, "{volume}");
        let mount = json!([{"name": volume, "readOnly": true, "mountPath": PLACE}]);
        for key in ["initContainers", "containers"] {
            assert_eq!(spec[key][0]["volumeMounts"], mount);
        }
    }

    #[test]
    fn what_is_mounted_already_stays() {
        let own = json!({"name": "own", "mountPath": PLACE});
        let both = json!({"volumes": [{"name": "own"}],
            "containers": [{"name": "a", "volumeMounts": [own]}, {"name": "b", "volumeMounts": []}]});
        let spec = completed(both, json!({}));
        assert_eq!(spec["containers"][0]["volumeMounts"], json!([own]));
        assert_eq!(spec["containers"][1]["volumeMounts"][0]["name"], spec["volumes"][1]["name"]);
        let all = json!({"containers": [{"name": "a", "volumeMounts": [own]}], "volumes": [{"name": "own"}]});
        assert_eq!(completed(all, json!({}))["volumes"], json!([{"name": "own"}]));
        let given = json!({"containers": [{"name": "a"}], "volumes": [{"name": "kube-api-access-x"}]});
        let spec = completed(given, json!({}));
        assert_eq!(spec["volumes"], json!([{"name": "kube-api-access-x"}]));
        assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], "kube-api-access-x");
    }

    #[test]
    fn pods_without_pull_secrets_have_those_of_the_account() {
        let account = || json!({"imagePullSecrets": [{"name": "s"}]});
        assert_eq!(completed(json!({}), account())["imagePullSecrets"], json!([{"name": "s"}]));
        let own = json!({"imagePullSecrets": [{"name": "o"}]});
        assert_eq!(completed(own.clone(), account())["imagePullSecrets"], own["imagePullSecrets"]);
        assert_eq!(completed(json!({}), json!({})).get("imagePullSecrets"), None);
    }

    #[test]
    fn pods_of_files_have_no_account() {
        let projected =
            |source: Value| json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]});
        let secrets = "a mirror pod may not reference secrets";
        for (spec, expected) in [
            (json!({"containers": [{"name": "a"}]}), None),
            (json!({"serviceAccountName": "a"}), Some("a mirror pod may not reference service accounts")),
            (json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}), Some(secrets)),
            (json!({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}), Some(secrets)),
            (json!({"initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {}}}]}]}), Some(secrets)),
            (json!({"imagePullSecrets": [{"name": "s"}]}), Some(secrets)),
            (projected(json!({"secret": {}})), Some(secrets)),
            (
                projected(json!({"serviceAccountToken": {"path": "t"}})),
                Some("a mirror pod may not use ServiceAccountToken volume projections"),
            ),
        ] {
            assert_eq!(mirror_fault(&spec), expected, "{spec}");
        }
    }
}
