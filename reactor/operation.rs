//! The future of a file operation.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::buf::Buf;
use super::coop;
use super::ids::OperationId;
use super::requests::{Request, bytes};
use super::{Reactor, gone};

/// A request on its way. Submitted when first polled.
///
/// # Cancel safety
///
/// The kernel does not cancel file I/O. Dropped before the kernel has it, the request is withdrawn;
/// after that it takes place, and the buffer is kept until it has.
#[derive(Debug)]
pub(crate) struct FileOperation {
    reactor: Rc<Reactor>,
    state: State,
}

#[derive(Debug)]
enum State {
    New(Request),
    Started(OperationId),
    Finished,
}

impl FileOperation {
    pub(crate) fn new(reactor: &Rc<Reactor>, request: Request) -> Self {
        Self { reactor: Rc::clone(reactor), state: State::New(request) }
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
        let Self { reactor, state } = &mut *self;
        let unit = ready!(coop::poll_proceed(cx));
        // `New` and `Started` stay until a waker's clone has been made: it is user code, and where
        // it panics `drop` abandons the operation.
        let done = match state {
            State::New(_) => {
                let waker = cx.waker().clone();
                match reactor.with(|driver| driver.requests.start(state.take_request(), waker)) {
                    Some(id) => {
                        *state = State::Started(id);
                        return Poll::Pending;
                    }
                    None => (Err(gone()), state.take_request().into_buf()),
                }
            }
            State::Started(id) => match ready!(poll_fetch(reactor, id, cx)) {
                Some((request, result)) => (bytes(result), request.into_buf()),
                // The reactor has gone, and the buffer with it.
                None => (Err(gone()), Buf::default()),
            },
            State::Finished => panic!("a file operation was polled after it was complete"),
        };
        *state = State::Finished;
        unit.made_progress();
        Poll::Ready(done)
    }
}

/// The result, once it is there; `None` if the reactor has gone.
fn poll_fetch(reactor: &Reactor, id: &OperationId, cx: &mut Context<'_>) -> Poll<Option<(Request, i64)>> {
    match reactor.with(|driver| driver.requests.operations.fetch(id)) {
        Some(None) => {}
        Some(done) => return Poll::Ready(done),
        None => return Poll::Ready(None),
    }
    // User code, which may have completed this very operation.
    let waker = cx.waker().clone();
    match reactor.with(|driver| driver.requests.operations.fetch_or_wait(id, waker)) {
        Some((None, _replaced)) => Poll::Pending,
        Some((done, _unused)) => Poll::Ready(done),
        None => Poll::Ready(None),
    }
}

impl Drop for FileOperation {
    fn drop(&mut self) {
        if let State::Started(id) = std::mem::replace(&mut self.state, State::Finished) {
            // What comes back is dropped outside the borrow.
            let _withdrawn = self.reactor.with(|driver| driver.requests.abandon(id));
        }
    }
}
