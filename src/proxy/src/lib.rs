//! The Service proxy: from Services, EndpointSlices and this node to the elements of the packet filter that lead
//! connections to endpoints.
//!
//! It knows no API server: a program gives it the objects. [`Proxy`] is the pure part, [`Programmer`] brings its elements into
//! the kernel, and [`thread`] runs both with all that belongs to them. `docs/design/proxy.md` says how the elements look and
//! why.

mod change;
mod endpoints;
mod flows;
mod networks;
mod objects;
mod owners;
mod places;
mod programmer;
mod proxy;
pub mod read;
mod shared;
mod spread;
mod state;
pub mod thread;
mod topology;

pub use change::{Change, Part};
pub use flows::Leads;
pub use networks::ranges;
pub use objects::{Hints, Node, ObjectName, Service, ServicePort, Slice, SliceEndpoint, SlicePort};
pub use owners::Conflict;
pub use places::Denied;
pub use programmer::{Done, Programmer, Refusal};
pub use proxy::{HealthCheck, Proxy};
