//! Several connections over one: NRI's frames, of a connection's number, a length and that many bytes.

use super::error::ProtocolError;
use super::framing::{Splitter, length, number};
use super::limits::FRAME_MAX;

/// The connection on which the engine calls the plugin.
pub const PLUGIN_SERVICE: u32 = 1;
/// The connection on which the plugin calls the engine.
pub const RUNTIME_SERVICE: u32 = 2;

const HEADER: usize = 8;

/// How much a peer in Go reads at first. It refuses a frame that is larger than its buffer.
const FIRST_FRAME: usize = 4096;

/// What arrives, cut into frames.
#[derive(Debug, Default)]
pub struct Frames(Splitter<HEADER>);

impl Frames {
    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// The next whole frame: its connection and its payload.
    ///
    /// # Errors
    /// A frame that is too large.
    pub fn next_frame(&mut self) -> Result<Option<(u32, Vec<u8>)>, ProtocolError> {
        let found = self.0.next(|&[.., a, b, c, d]| match number([a, b, c, d]) as usize {
            length @ ..=FRAME_MAX => Ok(length),
            length => Err(ProtocolError::Frame(length)),
        })?;
        Ok(found.map(|([a, b, c, d, ..], payload)| (number([a, b, c, d]), payload)))
    }
}

/// The frames of one message on `connection`.
///
/// Engines read a message's header with a buffer of 4096 bytes and then what is left of the message, and refuse a
/// frame that is larger than what they read: so there are at most two frames, cut there.
pub fn encode(connection: u32, message: &[u8]) -> Vec<u8> {
    let (first, rest) = message.split_at(message.len().min(FIRST_FRAME));
    let mut bytes = Vec::with_capacity(message.len() + 2 * HEADER);
    for payload in [first, rest] {
        if !payload.is_empty() {
            bytes.extend(connection.to_be_bytes());
            bytes.extend(length(payload.len()));
            bytes.extend(payload);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<(u32, Vec<u8>)> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in chunks {
            frames.push(chunk);
            while let Some(frame) = frames.next_frame().unwrap() {
                found.push(frame);
            }
        }
        found
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let mut bytes = encode(1, b"hello");
        bytes.extend(encode(2, b""));
        bytes.extend([0, 0, 0, 7, 0, 0, 0, 0]);
        bytes.extend(encode(2, &[9; 300]));
        let expected = [(1, b"hello".to_vec()), (7, vec![]), (2, vec![9; 300])];
        assert_eq!(frames(&[&bytes]), expected);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&single), expected);
        assert_eq!(frames(&[&bytes[..bytes.len() - 1]]), expected[..2]);
        assert_eq!(encode(1, b"hello")[..8], [0, 0, 0, 1, 0, 0, 0, 5]);
    }

    #[test]
    fn a_long_message_is_cut_where_its_reader_cuts() {
        let bytes = encode(1, &vec![1; 10_000]);
        let found = frames(&[&bytes]);
        assert_eq!(found.iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), [4096, 10_000 - 4096]);
    }

    #[test]
    fn a_frame_has_a_bound() {
        let mut frames = Frames::default();
        frames.push(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        let error = frames.next_frame().unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read from the engine: a frame of 4294967295 bytes, expected at most 4194314"
        );
    }
}
