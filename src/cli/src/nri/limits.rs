//! The sizes of NRI's messages and frames.

/// Length of a ttrpc message's header in bytes: a length, a stream, a type and flags.
pub const HEADER: usize = 10;
/// Largest message that ttrpc allows, in bytes without the header.
pub const MESSAGE_MAX: usize = 4 << 20;
/// Largest payload of a frame, in bytes: the largest message with its header.
pub const FRAME_MAX: usize = HEADER + MESSAGE_MAX;
