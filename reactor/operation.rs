//! The future of a file operation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::buf::Buf;
use super::coop;
use super::error::gone;
use super::ids::{Home, OperationId};
use super::mailbox::Command;
use super::requests::{Request, bytes};

/// A request on its way. Submitted when first polled.
///
/// # Cancel safety
///
/// The kernel does not cancel file I/O. Dropped before the kernel has it, the request is withdrawn;
/// after that it takes place, and the buffer is kept until it has.
#[derive(Debug)]
pub(crate) struct FileOperation {
    home: Home,
    state: State,
}

#[derive(Debug)]
enum State {
    New(Request),
    Started(OperationId),
    Finished,
}

impl FileOperation {
    pub(crate) fn new(home: Home, request: Request) -> Self {
        Self { home, state: State::New(request) }
    }
}

impl State {
    fn take_request(&mut self) -> Request {
        match std::mem::replace(self, Self::Finished) {
            Self::New(request) => request,
            Self::Started(_) | Self::Finished => unreachable!("the request was taken before"),
        }
    }
}

impl Future for FileOperation {
    type Output = (io::Result<usize>, Buf);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { home, state } = &mut *self;
        let unit = ready!(coop::poll_proceed(cx));
        // `New` and `Started` stay until a waker's clone has been made: it is user code, and where
        // it panics `drop` abandons the operation.
        let done = match state {
            State::New(_) => {
                let waker = cx.waker().clone();
                match home.with_driver(|driver| driver.requests.start(state.take_request(), waker)) {
                    Some(id) => {
                        *state = State::Started(id);
                        return Poll::Pending;
                    }
                    None => (Err(gone()), state.take_request().into_buf()),
                }
            }
            State::Started(id) => match ready!(poll_fetch(*home, id, cx)) {
                Ok((request, result)) => (bytes(result), request.into_buf()),
                // The buffer stays with the reactor, or has gone with it.
                Err(error) => {
                    self.abandon();
                    (Err(error), Buf::default())
                }
            },
            State::Finished => panic!("a file operation was polled after it was complete"),
        };
        self.state = State::Finished;
        unit.made_progress();
        Poll::Ready(done)
    }
}

/// The result, once it is there. Fails where it cannot be had: the reactor has gone, or its loop
/// does not run on this thread.
fn poll_fetch(home: Home, id: &OperationId, cx: &mut Context<'_>) -> Poll<io::Result<(Request, i64)>> {
    let fetched = home.with_driver(|driver| driver.requests.operations.fetch(id));
    if let Some(done) = fetched.ok_or_else(|| home.wait_error())? {
        return Poll::Ready(Ok(done));
    }
    home.check_driven()?;
    // User code, which may have completed this very operation.
    let waker = cx.waker().clone();
    let fetched = home.with_driver(|driver| driver.requests.operations.fetch_or_wait(id, waker));
    match fetched.ok_or_else(gone)? {
        (Some(done), _unused) => Poll::Ready(Ok(done)),
        (None, _replaced) => Poll::Pending,
    }
}

impl FileOperation {
    fn abandon(&mut self) {
        let State::Started(id) = std::mem::replace(&mut self.state, State::Finished) else { return };
        let mut id = Some(id);
        // What comes back is dropped outside the borrow.
        let _withdrawn = self.home.with_driver(|driver| id.take().map(|id| driver.requests.abandon(id)));
        if let Some(id) = id {
            let _gone = self.home.send(Command::Abandon(id));
        }
    }
}

impl Drop for FileOperation {
    fn drop(&mut self) {
        self.abandon();
    }
}
