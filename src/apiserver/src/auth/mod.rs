//! Who asks, and what that user may do: tokens of service accounts, and the rules of `rbac.authorization.k8s.io`.

mod attributes;
pub(crate) mod bootstrap;
mod certificate;
mod claims;
pub(crate) mod escalation;
mod gate;
mod policy;
mod rule;
#[cfg(test)]
mod tests;
pub(crate) mod token;
mod user;

pub use attributes::Attributes;
pub(crate) use certificate::user as user_of_certificate;
pub(crate) use claims::{Bound, ISSUER, Times, UNASKED};
pub(crate) use gate::{Gate, Mode};
pub use policy::{Decision, Policy};
pub use rule::Rule;
pub use user::User;
pub(crate) use user::{ADMIN, MASTERS};

use crate::status::ApiError;

/// Answers what reviews ask.
pub trait Judge {
    /// Who asks.
    fn user(&self) -> &User;

    /// Whether a user may do something.
    ///
    /// # Errors
    /// The store cannot be read.
    fn decide(&self, user: &User, what: &Attributes) -> Result<Decision, ApiError>;

    /// All rules that hold for the asking user in a namespace, and what is wrong with others.
    ///
    /// # Errors
    /// The store cannot be read.
    fn rules(&self, namespace: &str) -> Result<(Vec<Rule>, Vec<String>), ApiError>;

    /// The user whose token this is, with those of `audiences` that it is meant for; the API server's own where none are
    /// given.
    fn bearer(&self, token: &str, audiences: &[String]) -> Option<(User, Vec<String>)>;
}
