//! What the agent tells of its work: the Node's conditions, Events, health checks and metrics.

pub(crate) mod conditions;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod standing;
