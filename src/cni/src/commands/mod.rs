//! The commands of the specification, and `migrate`.

pub(crate) mod add;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod del;
pub(crate) mod gc;
pub(crate) mod migrate;
mod pod_record;
pub(crate) mod status;
