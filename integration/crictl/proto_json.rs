//! What protocol buffers write differently in JSON: numbers of 64 bits as strings, enumerations by name; and the times
//! that crictl puts in place of numbers.

use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serializer;

use crate::messages::EnumNumber;

/// Go's zero time, which crictl prints for what has not happened yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) fn int64<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn int64s<S: Serializer>(values: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(i64::to_string))
}

/// A time in nanoseconds since 1970.
pub(crate) fn time<S: Serializer>(nanoseconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match u64::try_from(*nanoseconds) {
        Ok(nanoseconds) if nanoseconds > 0 => {
            let time = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
            serializer.collect_str(&humantime::format_rfc3339_nanos(time))
        }
        _ => serializer.serialize_str(NEVER),
    }
}

fn name<S: Serializer>(names: &[&str], number: EnumNumber, serializer: S) -> Result<S::Ok, S::Error> {
    match usize::try_from(number).ok().and_then(|index| names.get(index)) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_i32(number),
    }
}

pub(crate) fn container_state<S: Serializer>(state: &EnumNumber, serializer: S) -> Result<S::Ok, S::Error> {
    let names = ["CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED", "CONTAINER_UNKNOWN"];
    name(&names, *state, serializer)
}

pub(crate) fn pod_state<S: Serializer>(state: &EnumNumber, serializer: S) -> Result<S::Ok, S::Error> {
    name(&["SANDBOX_READY", "SANDBOX_NOTREADY"], *state, serializer)
}

pub(crate) fn namespace_mode<S: Serializer>(mode: &EnumNumber, serializer: S) -> Result<S::Ok, S::Error> {
    name(&["POD", "CONTAINER", "NODE", "TARGET"], *mode, serializer)
}

pub(crate) fn propagation<S: Serializer>(mode: &EnumNumber, serializer: S) -> Result<S::Ok, S::Error> {
    let names = ["PROPAGATION_PRIVATE", "PROPAGATION_HOST_TO_CONTAINER", "PROPAGATION_BIDIRECTIONAL"];
    name(&names, *mode, serializer)
}
