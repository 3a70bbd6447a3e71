//! What a token says (`pkg/serviceaccount/claims.go`).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::user::{User, service_account_name};
use crate::object::Object;
use crate::time;

/// The audience of tokens for this server, and their issuer (`--service-account-issuer` of kubeadm).
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Seconds by which clocks may differ: a token may seem to be of the future, or holds on after its end (`jwt.DefaultLeeway`).
const LEEWAY: i64 = 60;
/// The seconds that a pod's token is asked for if its author asks for none (`WarnOnlyBoundTokenExpirationSeconds`).
pub(crate) const UNASKED: i64 = 3607;
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// An object that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    /// Empty for a pod's node without an object.
    pub(crate) uid: &'a str,
}

impl<'a> Named<'a> {
    fn of(object: &'a Object) -> Self {
        Self { name: object.name(), uid: object.uid() }
    }

    fn read(claim: &'a Value) -> Option<Self> {
        Some(Self { name: claim["name"].as_str()?, uid: claim["uid"].as_str().unwrap_or_default() })
    }

    fn claim(self) -> Value {
        let mut claim = json!({"name": self.name});
        if !self.uid.is_empty() {
            claim["uid"] = self.uid.into();
        }
        claim
    }

    /// Whether `object`, which has this name, is the one that was meant, and has not been deleted for long.
    pub(super) fn means(self, object: &Object, now: i64) -> bool {
        let end = object.metadata().get("deletionTimestamp").and_then(Value::as_str).and_then(time::parse);
        object.uid() == self.uid && end.is_none_or(|end| end >= now.saturating_sub(LEEWAY))
    }
}

/// The objects that a token is bound to, besides its account.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    /// The pod that it is for.
    pub(crate) pod: Option<Object>,
    /// The pod's node; without a pod the node that it is for.
    pub(crate) node: Option<Object>,
}

/// The times of a token, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// For how long it holds.
    pub(crate) seconds: i64,
    /// When its holder should have replaced it, if that is not its end.
    pub(crate) warn_after: Option<i64>,
}

/// The claims of a new token.
pub(super) fn made(account: &Object, bound: &Bound, audiences: &[String], times: Times, now: i64) -> Value {
    let mut own = json!({"namespace": account.namespace(), "serviceaccount": Named::of(account).claim()});
    for (key, object) in [("pod", &bound.pod), ("node", &bound.node)] {
        if let Some(object) = object {
            own[key] = Named::of(object).claim();
        }
    }
    if let Some(seconds) = times.warn_after {
        own["warnafter"] = now.saturating_add(seconds).into();
    }
    json!({
        "aud": audiences, "exp": now.saturating_add(times.seconds), "iat": now, "nbf": now, "iss": ISSUER,
        "jti": Uuid::new_v4().to_string(), "sub": service_account_name(account.namespace(), account.name()),
        "kubernetes.io": own,
    })
}

/// What a token says that was shown.
#[derive(Debug, PartialEq)]
pub(super) struct Claims<'a> {
    pub(super) namespace: &'a str,
    pub(super) account: Named<'a>,
    pub(super) pod: Option<Named<'a>>,
    /// See [`Bound::node`].
    pub(super) node: Option<Named<'a>>,
    id: &'a str,
    pub(super) audiences: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    /// Reads the claims of a token that holds at `now`.
    pub(super) fn of(claims: &'a Map<String, Value>, now: i64) -> Option<Self> {
        let time = |key: &str| claims.get(key)?.as_i64();
        let text = |key: &str| claims.get(key)?.as_str();
        let has_ended = time("exp")? < now.saturating_sub(LEEWAY);
        if text("iss")? != ISSUER || has_ended || time("nbf")? > now.saturating_add(LEEWAY) {
            return None;
        }
        let own = claims.get("kubernetes.io")?;
        let namespace = own["namespace"].as_str()?;
        let account = Named::read(&own["serviceaccount"]).filter(|account| !account.uid.is_empty())?;
        if text("sub")? != service_account_name(namespace, account.name) || own.get("secret").is_some() {
            return None;
        }
        // A claim that cannot be read is not one that is not there.
        let bound = |key: &str| own.get(key).map_or(Some(None), |claim| Named::read(claim).map(Some));
        let audiences = claims.get("aud")?.as_array()?.iter().filter_map(Value::as_str).collect();
        Some(Self {
            namespace,
            account,
            pod: bound("pod")?,
            node: bound("node")?,
            id: text("jti")?,
            audiences,
        })
    }

    /// The user with this token (`ServiceAccountInfo` in `k8s.io/apiserver/pkg/authentication/serviceaccount/util.go`).
    pub(super) fn user(&self) -> User {
        let mut user = User::service_account(self.namespace, self.account.name, self.account.uid);
        let mut add = |key: &str, value: &str| {
            if !value.is_empty() {
                user.extra.insert(key.to_owned(), vec![value.to_owned()]);
            }
        };
        add(CREDENTIAL, &format!("JTI={}", self.id));
        for (what, named) in [("pod", self.pod), ("node", self.node)] {
            if let Some(Named { name, uid }) = named {
                add(&format!("authentication.kubernetes.io/{what}-name"), name);
                add(&format!("authentication.kubernetes.io/{what}-uid"), uid);
            }
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(change: impl Fn(&mut Value)) -> Map<String, Value> {
        let mut claims = json!({
            "aud": [ISSUER], "exp": 2000, "iat": 1000, "nbf": 1000, "iss": ISSUER, "jti": "id",
            "sub": "system:serviceaccount:a:b",
            "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b", "uid": "u"}},
        });
        change(&mut claims);
        claims.as_object().unwrap().clone()
    }

    fn object(metadata: Value) -> Object {
        Object::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn claims_hold_for_their_time_and_account() {
        let holds = |claims: &Map<String, Value>, now| Claims::of(claims, now).is_some();
        let whole = claims(|_| {});
        // A clock may be a minute off.
        for (now, expected) in [
            (900, false),
            (940, true),
            (1000, true),
            (2000, true),
            (2060, true),
            (2061, false),
            (i64::MAX, false),
        ] {
            assert_eq!(holds(&whole, now), expected, "{now}");
        }
        let read = Claims::of(&whole, 1500).unwrap();
        let account = Named { name: "b", uid: "u" };
        assert_eq!((read.namespace, read.account, read.id), ("a", account, "id"));
        assert_eq!((read.pod, read.node), (None, None));
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 12] = [
            ("another issuer", |claims| claims["iss"] = "https://example".into()),
            ("no end", |claims| claims["exp"] = Value::Null),
            ("an end as text", |claims| claims["exp"] = "9999".into()),
            ("no beginning", |claims| claims["nbf"] = Value::Null),
            ("another subject", |claims| claims["sub"] = "system:serviceaccount:a:c".into()),
            ("no account", |claims| claims["kubernetes.io"]["serviceaccount"] = Value::Null),
            ("no uid", |claims| claims["kubernetes.io"]["serviceaccount"]["uid"] = Value::Null),
            ("no audience", |claims| claims["aud"] = Value::Null),
            ("a namespace that hides a name", |claims| claims["kubernetes.io"]["namespace"] = "a:b".into()),
            ("a pod without a name", |claims| claims["kubernetes.io"]["pod"] = json!({"uid": "u"})),
            ("a node that is a text", |claims| claims["kubernetes.io"]["node"] = "n1".into()),
            ("a secret", |claims| claims["kubernetes.io"]["secret"] = json!({"name": "s", "uid": "u"})),
        ];
        for (what, change) in changes {
            assert!(!holds(&claims(change), 1500), "{what}");
        }
    }

    #[test]
    fn what_a_token_is_bound_to_is_read_again() {
        let account = object(json!({"namespace": "a", "name": "b", "uid": "u"}));
        let pod = || Some(object(json!({"namespace": "a", "name": "p", "uid": "pu"})));
        let times = Times { seconds: 600, warn_after: None };
        for (bound, expected) in [
            (Bound::default(), json!({})),
            (Bound { pod: pod(), node: None }, json!({"pod": {"name": "p", "uid": "pu"}})),
            (
                Bound { pod: pod(), node: Some(object(json!({"name": "n"}))) },
                json!({"pod": {"name": "p", "uid": "pu"}, "node": {"name": "n"}}),
            ),
            (
                Bound { pod: None, node: Some(object(json!({"name": "n", "uid": "nu"}))) },
                json!({"node": {"name": "n", "uid": "nu"}}),
            ),
        ] {
            let made = made(&account, &bound, &[ISSUER.to_owned()], times, 1000);
            let own = &made["kubernetes.io"];
            let (mut extra, read) = (json!({}), Claims::of(made.as_object().unwrap(), 1000).unwrap());
            for key in ["pod", "node"] {
                assert_eq!(own.get(key), expected.get(key));
                for part in ["name", "uid"] {
                    if let Some(text) = expected[key].get(part) {
                        extra[format!("authentication.kubernetes.io/{key}-{part}")] = json!([text]);
                    }
                }
            }
            extra[CREDENTIAL] = json!([format!("JTI={}", made["jti"].as_str().unwrap())]);
            assert_eq!(json!(read.user().extra), extra);
            assert_eq!(own.get("warnafter"), None);
        }
        let times = Times { seconds: 9000, warn_after: Some(3607) };
        let made = made(&account, &Bound::default(), &[], times, 1000);
        assert_eq!((&made["exp"], &made["kubernetes.io"]["warnafter"]), (&json!(10_000), &json!(4607)));
    }

    #[test]
    fn a_token_ends_a_minute_after_its_objects() {
        let named = Named { name: "p", uid: "u" };
        let at = |end: Option<i64>, uid: &str| {
            object(json!({"name": "p", "uid": uid, "deletionTimestamp": end.map(time::format)}))
        };
        for (end, uid, expected) in [
            (None, "u", true),
            (None, "v", false),
            (Some(1100), "u", true),
            (Some(1000), "u", true),
            (Some(940), "u", true),
            (Some(939), "u", false),
            (Some(1100), "v", false),
        ] {
            assert_eq!(named.means(&at(end, uid), 1000), expected, "{end:?} {uid}");
        }
    }
}
