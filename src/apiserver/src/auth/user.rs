//! Users.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The group whose members may do everything, whatever the rules say (`user.SystemPrivilegedGroup`).
pub(crate) const MASTERS: &str = "system:masters";
/// The group of everybody who shows who they are.
const AUTHENTICATED: &str = "system:authenticated";
/// The administrator, who has the server's own token.
pub(crate) const ADMIN: &str = "kubernetes-admin";

/// A user, as the server knows it (`user.Info`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Tells the user from an earlier one of this name; empty if nothing does.
    pub uid: String,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// More about the user.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The administrator.
    pub fn admin() -> Self {
        Self::named(ADMIN, vec![MASTERS.to_owned()])
    }

    /// A user who has shown who they are.
    pub(crate) fn named(name: &str, mut groups: Vec<String>) -> Self {
        groups.push(AUTHENTICATED.to_owned());
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// A service account (`k8s.io/apiserver/pkg/authentication/serviceaccount/util.go`).
    pub(crate) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let name = service_account_name(namespace, name);
        Self { uid: uid.to_owned(), ..Self::named(&name, groups) }
    }

    /// Whether the rules do not matter.
    pub(crate) fn is_master(&self) -> bool {
        self.is_in(MASTERS)
    }

    /// Whether the user is in a group.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// As `UserInfo` of `authentication.k8s.io`.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// The name of a service account as a user.
pub(crate) fn service_account_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}
