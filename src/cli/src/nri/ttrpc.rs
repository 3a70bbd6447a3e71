//! ttrpc: gRPC's requests and responses, without HTTP, between processes of one machine.

use super::error::ProtocolError;
use super::framing::{Splitter, length, number};
use super::limits::{HEADER, MESSAGE_MAX};

/// `OK` in gRPC.
pub const OK: i32 = 0;
/// `UNKNOWN`: an error of the application.
pub const UNKNOWN: i32 = 2;
/// `INVALID_ARGUMENT`
pub const INVALID_ARGUMENT: i32 = 3;
/// `UNIMPLEMENTED`: there is no such method.
pub const UNIMPLEMENTED: i32 = 12;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A [`Request`].
    Request = 1,
    /// A [`Response`].
    Response = 2,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which call it belongs to.
    pub stream: u32,
    /// What it is.
    pub kind: Kind,
    /// The protocol buffer.
    pub payload: Vec<u8>,
}

/// A call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// The service, with its package.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The method's argument.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// Nanoseconds after which the caller gives up, 0 for never.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    /// Absent where all is well.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The method's result.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// gRPC's code, [`OK`] for none.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

impl Status {
    /// An error.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Response {
    /// The answer to a call that came out like this.
    pub fn of(result: Result<Vec<u8>, Status>) -> Self {
        match result {
            Ok(payload) => Self { status: None, payload },
            Err(status) => Self { status: Some(status), payload: Vec::new() },
        }
    }

    /// The error in it, if there is one.
    pub fn error(&self) -> Option<&Status> {
        self.status.as_ref().filter(|status| status.code != OK)
    }
}

/// What arrives on a connection, cut into messages.
#[derive(Debug, Default)]
pub struct Messages(Splitter<HEADER>);

impl Messages {
    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// One that is too large, or of a type that NRI does not use.
    pub fn next_message(&mut self) -> Result<Option<Message>, ProtocolError> {
        let found = self.0.next(|&[a, b, c, d, ..]| match number([a, b, c, d]) as usize {
            length @ ..=MESSAGE_MAX => Ok(length),
            length => Err(ProtocolError::Message(length)),
        })?;
        let Some(([_, _, _, _, a, b, c, d, kind, _flags], payload)) = found else {
            return Ok(None);
        };
        let kind = match kind {
            1 => Kind::Request,
            2 => Kind::Response,
            other => return Err(ProtocolError::Kind(other)),
        };
        Ok(Some(Message { stream: number([a, b, c, d]), kind, payload }))
    }
}

impl Message {
    /// Its bytes, the header first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len());
        bytes.extend(length(self.payload.len()));
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend([self.kind as u8, 0]);
        bytes.extend(&self.payload);
        bytes
    }

    /// The protocol buffer in it, `what` being its name in errors.
    ///
    /// # Errors
    /// Bytes that are none.
    pub fn decode<M: prost::Message + Default>(&self, what: &'static str) -> Result<M, ProtocolError> {
        decode(&self.payload, what)
    }

    /// A message with `body`.
    pub fn new(stream: u32, kind: Kind, body: &impl prost::Message) -> Self {
        Self { stream, kind, payload: body.encode_to_vec() }
    }
}

/// The protocol buffer in `bytes`, `what` being its name in errors.
///
/// # Errors
/// Bytes that are none.
pub fn decode<M: prost::Message + Default>(bytes: &[u8], what: &'static str) -> Result<M, ProtocolError> {
    M::decode(bytes).map_err(|cause| ProtocolError::Decode { what, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bytes: &[u8]) -> Result<Vec<Message>, String> {
        let mut messages = Messages::default();
        messages.push(bytes);
        let mut found = Vec::new();
        while let Some(message) = messages.next_message().map_err(|error| error.to_string())? {
            found.push(message);
        }
        Ok(found)
    }

    #[test]
    fn a_call_comes_back() {
        let request = Request {
            service: "s".into(),
            method: "m".into(),
            payload: vec![1, 2, 3],
            timeout_nano: 2_000_000_000,
        };
        let message = Message::new(3, Kind::Request, &request);
        let bytes = message.encode();
        assert_eq!(bytes[..HEADER], [0, 0, 0, u8::try_from(bytes.len() - HEADER).unwrap(), 0, 0, 0, 3, 1, 0]);
        let found = messages(&[bytes.clone(), bytes.clone()].concat()).unwrap();
        assert_eq!(found, [message.clone(), message]);
        assert_eq!(found[0].decode::<Request>("request").unwrap(), request);
        assert_eq!(messages(&bytes[..bytes.len() - 1]).unwrap(), []);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let error = messages(&[0, 0x40, 0, 1, 0, 0, 0, 1, 1, 0]).unwrap_err();
        assert_eq!(
            error,
            "cannot read from the engine: a message of 4194305 bytes, expected at most 4194304"
        );
        let error = messages(&[0, 0, 0, 0, 0, 0, 0, 1, 3, 0]).unwrap_err();
        assert!(error.contains("a message of type 3"), "{error}");
        // A string that ends after the message does.
        let error = decode::<Request>(&[0x0a, 0x7f, b'x'], "request").unwrap_err().to_string();
        assert!(error.starts_with("cannot read the engine's request: "), "{error}");
        let not_utf8 = decode::<Request>(&[0x0a, 1, 0xff], "request");
        assert!(not_utf8.is_err());
    }

    #[test]
    fn a_status_is_an_error_unless_it_is_ok() {
        assert_eq!(Response::of(Ok(vec![1])).error(), None);
        let ok = Response { status: Some(Status::new(OK, "")), payload: vec![] };
        assert_eq!(ok.error(), None);
        assert_eq!(Response::of(Err(Status::new(UNKNOWN, "no"))).error().unwrap().message, "no");
    }
}
