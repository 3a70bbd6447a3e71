//! What the NRI plugin reads.

use container::identity::Dialect;
use container::node_config::NodeConfig;
use podhosts::nri::adjust::New;
use podhosts::nri::messages::CreateContainerRequest;
use podhosts::nri::mux::{self, Frames};
use podhosts::nri::ttrpc::{Kind, Message, Messages, Request, Response, decode};

use super::chosen;

/// What an engine sends is cut into the same messages however it arrives, and a message that is sent on comes back.
pub(super) fn stream(data: &[u8]) {
    let Some((size, data)) = chosen(data, 64) else { return };
    let found = messages(data.chunks(size + 1));
    assert_eq!(found, messages(std::iter::once(data)), "in pieces of {}", size + 1);
    for message in &found.0 {
        let _ = match message.kind {
            Kind::Request => message.decode::<Request>("request").map(drop),
            Kind::Response => message.decode::<Response>("response").map(drop),
        };
        let again = messages(std::iter::once(mux::encode(mux::PLUGIN_SERVICE, &message.encode()).as_slice()));
        assert_eq!(again, (vec![message.clone()], None));
    }
}

/// All messages, and what ended them.
fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<String>) {
    let (mut frames, mut messages, mut found) = (Frames::default(), Messages::default(), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some((_, payload))) => messages.push(&payload),
                Ok(None) => break,
                Err(error) => return (found, Some(error.to_string())),
            }
            loop {
                match messages.next_message() {
                    Ok(Some(message)) => found.push(message),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error.to_string())),
                }
            }
        }
    }
    (found, None)
}

/// A container that is adjusted gets the hook, once, and loses no mount but those at /etc/hosts.
pub(super) fn container(data: &[u8]) {
    let Ok(request) = decode::<CreateContainerRequest>(data, "CreateContainerRequest") else { return };
    let (Some(pod), Some(container)) = (&request.pod, &request.container) else { return };
    let node = NodeConfig::parse("", "config.toml").expect("nothing is a configuration");
    for dialect in [Dialect::Containerd, Dialect::CriO] {
        let Ok(Ok(sealing)) = (New { dialect, pod, container }).decide(&node) else { continue };
        let adjustment = sealing.adjustment("/usr/local/bin/podhosts-hook", 10);
        let hooks = adjustment.hooks.map(|hooks| hooks.create_runtime).unwrap_or_default();
        assert!(hooks.len() == 1 && hooks[0].args[0] == podhosts_hook::PROGRAM, "{hooks:?}");
        for mount in &adjustment.mounts {
            let destination = mount.destination.strip_prefix('-').expect("is removed");
            assert!(container.mounts.iter().any(|mount| mount.destination == destination), "{destination}");
        }
    }
}
