//! Streams of a header and as many bytes as it says: both layers of NRI's protocol are that.

use super::error::ProtocolError;

/// A header and its payload.
type Whole<const HEADER: usize> = ([u8; HEADER], Vec<u8>);

/// Cuts what arrives, in pieces of any size, into headers of `HEADER` bytes with their payloads.
#[derive(Debug, Default)]
pub(super) struct Splitter<const HEADER: usize> {
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were taken already.
    taken: usize,
}

impl<const HEADER: usize> Splitter<HEADER> {
    /// Takes in what arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next header and its payload, once they are whole. `length` reads the payload's length from the header, and
    /// refuses one that is too large before anything is kept for it.
    pub(super) fn next(
        &mut self,
        length: impl Fn(&[u8; HEADER]) -> Result<usize, ProtocolError>,
    ) -> Result<Option<Whole<HEADER>>, ProtocolError> {
        let Some((header, rest)) = self.buffer[self.taken..].split_first_chunk() else {
            return Ok(None);
        };
        let Some(payload) = rest.get(..length(header)?) else {
            return Ok(None);
        };
        let found = (*header, payload.to_vec());
        self.taken += HEADER + found.1.len();
        Ok(Some(found))
    }
}

/// The number in the first four bytes of `bytes`, in network order.
pub(super) fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// `value` as a length in a header. Messages are far shorter than four gigabytes.
pub(super) fn length(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}
