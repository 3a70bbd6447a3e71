//! Events of containerd's own (`containerd.services.events.v1`).

/// `SubscribeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubscribeRequest {
    /// Which events are wanted; each that one of these means.
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

/// `Envelope`: something changed. What is to be known about it is asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Envelope {
    /// Whose containers, among containerd's clients.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// What happened.
    #[prost(string, tag = "3")]
    pub topic: String,
}
