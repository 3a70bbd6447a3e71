//! What stands between the node and a whole cluster network.

/// Something an administrator has to know. It is told by an Event, a condition of the Node and a metric for as long as it
/// stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The Event's reason, in CamelCase as Kubernetes has them.
    pub(crate) reason: &'static str,
    /// The other Node that it is about, if it is about one.
    pub(crate) node: Option<String>,
    /// One sentence that names what was read, and what follows from it.
    pub(crate) text: String,
}
