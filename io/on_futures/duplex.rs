//! A pair of connected streams in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures::io::{AsyncRead, AsyncWrite, ErrorKind, IoSlice, Result};

use crate::reactor::{coop, wake_all};

/// Makes a pair of connected streams in memory, as a pair of sockets is, but without system calls.
///
/// Each direction holds at most `max_buf_size` bytes; a write waits while it is full. Closing or
/// dropping one end gives the other one what is left, and then the end of the stream. A write to an
/// end that was dropped is `BrokenPipe`.
///
/// # Panics
///
/// If `max_buf_size` is 0.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// let (mut client, mut server) = duplex(64);
/// client.write_all(b"ping").await?;
/// let mut buf = [0; 4];
/// server.read_exact(&mut buf).await?;
/// assert_eq!(&buf, b"ping");
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn duplex(max_buf_size: usize) -> (DuplexStream, DuplexStream) {
    assert!(max_buf_size > 0, "duplex: with room for 0 bytes every write would wait forever");
    let (there, back) = (Pipe::new(max_buf_size), Pipe::new(max_buf_size));
    let far = DuplexStream { reads: Arc::clone(&there), writes: Arc::clone(&back) };
    (DuplexStream { reads: back, writes: there }, far)
}

/// One end of [`duplex`]. It works in any task, and on any thread.
pub struct DuplexStream {
    reads: Arc<Pipe>,
    writes: Arc<Pipe>,
}

impl AsyncRead for DuplexStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize>> {
        self.reads.poll(cx, End::Reader, |state| {
            let has_something = !state.bytes.is_empty() || state.closed || buf.is_empty();
            has_something.then(|| state.bytes.read(buf))
        })
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let is_empty = bufs.iter().all(|buf| buf.is_empty());
        self.writes.poll(cx, End::Writer, |state| {
            if state.closed {
                return Some(Err(ErrorKind::BrokenPipe.into()));
            }
            let before = state.bytes.len();
            if before == state.max && !is_empty {
                return None;
            }
            for buf in bufs {
                let room = state.max - state.bytes.len();
                state.bytes.extend(&buf[..buf.len().min(room)]);
            }
            Some(Ok(state.bytes.len() - before))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.writes.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
    }
}

impl fmt::Debug for DuplexStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplexStream").finish_non_exhaustive()
    }
}

/// One direction.
struct Pipe {
    state: Mutex<State>,
}

struct State {
    bytes: VecDeque<u8>,
    max: usize,
    /// No more bytes come: the writer was closed, or one of the ends was dropped.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Reader,
    Writer,
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

impl State {
    fn waiter(&mut self, end: End) -> &mut Option<Waker> {
        match end {
            End::Reader => &mut self.reader,
            End::Writer => &mut self.writer,
        }
    }
}

impl Pipe {
    fn new(max: usize) -> Arc<Self> {
        let state = State { bytes: VecDeque::new(), max, closed: false, reader: None, writer: None };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Makes an attempt. One that yields nothing waits for the other end, one that yields something
    /// wakes it.
    fn poll<T>(&self, cx: &mut Context<'_>, end: End, mut attempt: impl FnMut(&mut State) -> Option<T>) -> Poll<T> {
        let unit = ready!(coop::poll_proceed(cx));
        // Cloned with the lock released, since that is user code; then there is another attempt.
        let mut waker = None;
        loop {
            let mut state = self.state();
            if let Some(output) = attempt(&mut state) {
                let other = state.waiter(end.other()).take();
                drop(state);
                wake_all(other);
                unit.made_progress();
                return Poll::Ready(output);
            }
            if let Some(waker) = waker.take() {
                let _replaced = state.waiter(end).replace(waker);
                drop(state);
                return Poll::Pending;
            }
            drop(state);
            waker = Some(cx.waker().clone());
        }
    }

    /// Lets nothing in any more.
    fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            [state.reader.take(), state.writer.take()]
        };
        wake_all(waiting.into_iter().flatten());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
