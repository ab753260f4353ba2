//! A file operation: the request with all that the kernel may touch, and the future of its result.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;

use super::buf::Buf;
use super::front::Reactor;
use crate::reactor::kernel::abi::Iocb;
use crate::reactor::requests::{Key, OperationId};

/// What is asked of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Read,
    Write,
    Sync { data_only: bool },
}

/// A read, write or sync, with the buffer and the file: what the kernel may touch until the event.
/// (It takes a reference to the file itself, but only inside `io_submit`; until then the number
/// must not pass to another file.)
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) opcode: Opcode,
    file: Arc<File>,
    buf: Buf,
    offset: i64,
    nowait: bool,
}

impl Request {
    fn new(opcode: Opcode, file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self { opcode, file: Arc::clone(file), buf, offset, nowait: false }
    }

    /// Reads up to `buf.len()` bytes at `offset`.
    pub(crate) fn read(file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self::new(Opcode::Read, file, buf, offset)
    }

    /// Writes up to `buf.len()` bytes at `offset`.
    pub(crate) fn write(file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self::new(Opcode::Write, file, buf, offset)
    }

    /// `fsync`, or `fdatasync` where `data_only`.
    pub(crate) fn sync(file: &Arc<File>, data_only: bool) -> Self {
        Self::new(Opcode::Sync { data_only }, file, Buf::default(), 0)
    }

    /// With `RWF_NOWAIT`: `EAGAIN` where `io_submit` would block.
    pub(crate) fn nowait(mut self) -> Self {
        self.nowait = true;
        self
    }

    /// The buffer, of a request that is not to be made after all.
    pub(crate) fn into_buf(self) -> Buf {
        self.buf
    }

    /// The kernel's form of it, which points into the buffer.
    pub(super) fn iocb(&mut self, key: Key) -> Iocb {
        let (fd, data) = (self.file.as_raw_fd(), key.to_data());
        let iocb = match self.opcode {
            Opcode::Read => Iocb::read(fd, self.buf.as_mut_ptr(), self.buf.len(), self.offset, data),
            Opcode::Write => Iocb::write(fd, self.buf.as_ptr(), self.buf.len(), self.offset, data),
            Opcode::Sync { data_only } => Iocb::sync(fd, data_only, data),
        };
        if self.nowait { iocb.nowait() } else { iocb }
    }
}

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

impl Future for FileOperation {
    type Output = (io::Result<usize>, Buf);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { reactor, state } = &mut *self;
        ready!(reactor.poll_proceed(cx));
        // `Started` stays until the result is in hand: a waker's clone is user code, and where it
        // panics `drop` abandons.
        let done = match state {
            State::New(_) => {
                let waker = cx.waker().clone();
                let State::New(request) = std::mem::replace(state, State::Finished) else {
                    unreachable!("matched above")
                };
                match reactor.start(request, waker) {
                    Ok(id) => {
                        *state = State::Started(id);
                        return Poll::Pending;
                    }
                    Err((error, request)) => (Err(error), request.buf),
                }
            }
            State::Started(id) => match ready!(reactor.fetch(id, cx)) {
                Ok((request, result)) => (bytes(result), request.buf),
                // The reactor has gone, and the buffer with it.
                Err(error) => (Err(error), Buf::default()),
            },
            State::Finished => panic!("a file operation was polled after it was complete"),
        };
        *state = State::Finished;
        reactor.made_progress();
        Poll::Ready(done)
    }
}

impl Drop for FileOperation {
    fn drop(&mut self) {
        if let State::Started(id) = std::mem::replace(&mut self.state, State::Finished) {
            self.reactor.abandon(id);
        }
    }
}

/// An event's `res` as a number of bytes or an error.
fn bytes(result: i64) -> io::Result<usize> {
    match usize::try_from(result) {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(Errno::from_raw_os_error(-result as i32).into()),
    }
}
