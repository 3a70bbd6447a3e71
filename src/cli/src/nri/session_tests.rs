use std::path::Path;
use std::thread;

use prost::Message as _;

use super::super::messages::{
    CREATE_CONTAINER, ConfigureRequest, ConfigureResponse, Container, CreateContainerRequest,
    CreateContainerResponse, PLUGIN_SERVICE, PodSandbox, SynchronizeRequest, SynchronizeResponse,
};
use super::super::ttrpc::Status;
use super::*;

/// The engine's side of a connection.
struct FakeEngine {
    socket: UnixStream,
    frames: Frames,
    messages: Messages,
    stream: u32,
}

impl FakeEngine {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next message on any connection.
    fn receive(&mut self) -> Message {
        loop {
            if let Some(message) = self.messages.next_message().unwrap() {
                return message;
            }
            let mut chunk = [0; 7];
            let length = self.socket.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "the plugin closed the connection");
            self.frames.push(&chunk[..length]);
            while let Some((_, payload)) = self.frames.next_frame().unwrap() {
                self.messages.push(&payload);
            }
        }
    }

    fn accept(&mut self) -> RegisterPluginRequest {
        let message = self.receive();
        let request: Request = message.decode("request").unwrap();
        assert_eq!((request.service.as_str(), request.method.as_str()), (RUNTIME_SERVICE, "RegisterPlugin"));
        let answer = Message::new(message.stream, Kind::Response, &Response::of(Ok(Vec::new())));
        self.send(&mux::encode(mux::RUNTIME_SERVICE, &answer.encode()));
        RegisterPluginRequest::decode(&request.payload[..]).unwrap()
    }

    fn call(&mut self, method: &str, payload: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.stream += 2;
        let request = Request {
            service: PLUGIN_SERVICE.into(),
            method: method.into(),
            payload,
            timeout_nano: 2_000_000_000,
        };
        let message = Message::new(self.stream, Kind::Request, &request);
        self.send(&mux::encode(mux::PLUGIN_SERVICE, &message.encode()));
        let answer = self.receive();
        assert_eq!((answer.kind, answer.stream), (Kind::Response, self.stream));
        let response: Response = answer.decode("response").unwrap();
        match response.error() {
            Some(status) => Err(status.clone()),
            None => Ok(response.payload),
        }
    }

    fn configure(&mut self, runtime_name: &str) -> Result<Vec<u8>, Status> {
        let request = ConfigureRequest { runtime_name: runtime_name.into(), runtime_version: "2".into() };
        self.call("Configure", request.encode_to_vec())
    }
}

/// Has an engine that does `what` meet the plugin; how the connection ended for the plugin, and how often it was ready.
fn meet(what: impl FnOnce(FakeEngine) + Send + 'static) -> (Result<End, NriError>, usize) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let engine =
        FakeEngine { socket: theirs, frames: Frames::default(), messages: Messages::default(), stream: 1 };
    let engine = thread::spawn(|| what(engine));
    let registration = Registration { name: "podhosts".into(), index: "90".into() };
    let mut plugin = Plugin::new(Path::new("/nowhere/config.toml"));
    let mut ready = 0;
    let stop = Stop::catch().unwrap();
    let end = Session::new(ours, &mut plugin).run(&registration, &stop, |_| ready += 1);
    engine.join().unwrap();
    (end, ready)
}

#[test]
fn a_whole_connection() {
    let (end, ready) = meet(|mut engine| {
        let registered = engine.accept();
        assert_eq!((registered.plugin_name.as_str(), registered.plugin_idx.as_str()), ("podhosts", "90"));
        let events = ConfigureResponse::decode(&engine.configure("containerd").unwrap()[..]).unwrap().events;
        assert_eq!(events, CREATE_CONTAINER);
        for more in [true, false] {
            let request = SynchronizeRequest { more };
            let answer = engine.call("Synchronize", request.encode_to_vec()).unwrap();
            assert_eq!(SynchronizeResponse::decode(&answer[..]).unwrap().more, more);
        }
        let pod = PodSandbox {
            id: "s".into(),
            name: "p".into(),
            namespace: "n".into(),
            annotations: [("podhosts.io/seal".to_owned(), "false".to_owned())].into(),
            ..PodSandbox::default()
        };
        let mut request =
            CreateContainerRequest { pod: Some(pod.clone()), container: Some(Container::default()) };
        let answer = engine.call("CreateContainer", request.encode_to_vec()).unwrap();
        assert_eq!(CreateContainerResponse::decode(&answer[..]).unwrap().adjust, None);
        request.pod.as_mut().unwrap().annotations.insert("podhosts.io/seal".into(), "x".into());
        let error = engine.call("CreateContainer", request.encode_to_vec()).unwrap_err();
        assert!(error.message.starts_with("podhosts: cannot read annotation podhosts.io/seal"), "{error:?}");
        let error = engine.call("CreateContainer", Vec::new()).unwrap_err();
        assert_eq!(error.message, "podhosts: cannot use the engine's request: pod is missing");
        let error = engine.call("CreateContainer", vec![0x0a, 0x7f]).unwrap_err();
        assert!(error.message.contains("cannot read the engine's CreateContainerRequest"), "{error:?}");
        assert_eq!(engine.call("StateChange", Vec::new()), Ok(Vec::new()));
        assert_eq!(engine.call("Shutdown", Vec::new()), Ok(Vec::new()));
        let error = engine.call("RunPodSandbox", Vec::new()).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (ttrpc::UNIMPLEMENTED, "method RunPodSandbox"));
    });
    assert_eq!((end.unwrap(), ready), (End::Closed, 1));
}

#[test]
fn a_request_that_cannot_be_read_is_answered() {
    let (end, _) = meet(|mut engine| {
        engine.accept();
        let garbage = Message { stream: 3, kind: Kind::Request, payload: vec![0x0a, 0x7f, 1] };
        engine.send(&mux::encode(mux::PLUGIN_SERVICE, &garbage.encode()));
        let answer: Response = engine.receive().decode("response").unwrap();
        assert_eq!(answer.error().unwrap().code, ttrpc::INVALID_ARGUMENT);
        // Nobody listens there; and an answer to nothing.
        engine.send(&mux::encode(9, b"hello"));
        let answer = Message::new(7, Kind::Response, &Response::of(Err(Status::new(2, "x"))));
        engine.send(&mux::encode(mux::RUNTIME_SERVICE, &answer.encode()));
        engine.send(&mux::encode(mux::PLUGIN_SERVICE, &answer.encode()));
        assert!(engine.configure("containerd").is_ok());
    });
    assert_eq!(end.unwrap(), End::Closed);
}

#[test]
fn a_refusal_and_what_is_no_nri_end_the_connection() {
    let (end, ready) = meet(|mut engine| {
        let stream = engine.receive().stream;
        let refusal = Response::of(Err(Status::new(2, "invalid plugin name")));
        let answer = Message::new(stream, Kind::Response, &refusal);
        engine.send(&mux::encode(mux::RUNTIME_SERVICE, &answer.encode()));
        assert_eq!(engine.socket.read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(end.unwrap_err().to_string(), "cannot register with the engine: invalid plugin name");
    assert_eq!(ready, 0);
    let (end, _) = meet(|mut engine| {
        engine.accept();
        engine.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert_eq!(engine.socket.read(&mut [0]).unwrap(), 0);
    });
    assert!(end.unwrap_err().to_string().contains("a frame of 791752241 bytes"));
}

#[test]
fn an_engine_that_is_not_known_is_not_served() {
    let (end, _) = meet(|mut engine| {
        engine.accept();
        let error = engine.configure("docker").unwrap_err();
        assert_eq!(error.message, "cannot serve engine \"docker\": expected containerd or cri-o");
        let error = engine.call("CreateContainer", Vec::new()).unwrap_err();
        assert_eq!(error.message, "podhosts: cannot serve before Configure");
    });
    assert_eq!(end.unwrap(), End::Closed);
}

#[test]
fn an_engine_that_goes_while_it_is_written_to_is_waited_for() {
    let (engine, ours) = UnixStream::pair().unwrap();
    drop(engine);
    let registration = Registration { name: "podhosts".into(), index: "90".into() };
    let mut plugin = Plugin::new(Path::new("/nowhere/config.toml"));
    let end = Session::new(ours, &mut plugin).run(&registration, &Stop::catch().unwrap(), |_| ());
    assert_eq!(end.unwrap(), End::Closed);
}
