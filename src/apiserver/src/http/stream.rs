//! Answers that are sent line by line. Unread lines take the room of answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::activity::UnderWay;
use super::limits::{Limits, Room, UNREAD_TIME};

/// The client has gone, or does not read.
#[derive(Debug)]
pub(super) struct Closed;

#[derive(Debug)]
struct Line {
    bytes: Bytes,
    taken: Taken,
}

/// A line holds it until it is read, and the sender waits for that.
#[derive(Debug)]
struct Taken {
    _room: Room,
    _unread: oneshot::Sender<Infallible>,
}

#[derive(Debug)]
struct Queue {
    lines: Receiver<Line>,
    /// Belongs to the last line that the connection took, and keeps until it asks for the next.
    taken: Option<Taken>,
    under_way: Option<UnderWay>,
}

type Shared = Arc<Mutex<Queue>>;

/// The end of a stream that the connection reads.
#[derive(Debug)]
pub(super) struct Stream(Shared);

/// The end of a stream that the server writes to.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    sender: Sender<Line>,
    queue: Shared,
    limits: Limits,
}

/// Both ends of a stream.
pub(super) fn stream(limits: &Limits) -> (Lines, Stream) {
    let (sender, lines) = mpsc::channel(1);
    let queue = Arc::new(Mutex::new(Queue { lines, taken: None, under_way: None }));
    (Lines { sender, queue: Arc::clone(&queue), limits: limits.clone() }, Stream(queue))
}

impl Stream {
    /// Counts the request as under way until the stream ends.
    pub(super) fn takes(&mut self, under_way: UnderWay) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way = Some(under_way);
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.taken = None;
        let polled = queue.lines.poll_recv(context);
        polled.map(|line| {
            let line = line?;
            queue.taken = Some(line.taken);
            Some(Ok(Frame::data(line.bytes)))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

impl Queue {
    /// Drops the lines and what they hold.
    fn end(&mut self) {
        self.lines.close();
        while self.lines.try_recv().is_ok() {}
        self.taken = None;
        self.under_way = None;
    }
}

impl Lines {
    /// Sends a line as soon as there is room, and waits until it is read, but not for ever: a client that opens no window in
    /// HTTP/2 would keep the room. After an error the caller has to end the stream.
    pub(super) async fn send(&self, line: String) -> Result<(), Closed> {
        let sent = timeout(UNREAD_TIME, async {
            let room = self.limits.answer_soon(line.len()).await?;
            let (unread, read) = oneshot::channel();
            let taken = Taken { _room: room, _unread: unread };
            self.sender.send(Line { bytes: Bytes::from(line), taken }).await.ok()?;
            // Nothing is sent: the line drops its end when it is read.
            let _ = read.await;
            Some(())
        });
        match sent.await {
            Ok(Some(())) => Ok(()),
            Ok(None) | Err(_) => Err(Closed),
        }
    }

    /// Waits until the client has gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Ends the stream.
    pub(super) fn end(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}
