//! The standard output and the standard error.

use std::future::Future;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::AsyncWrite;
use rustix::event::PollFlags;

use super::insist;
use crate::runtime::blocking::Pooled;
use crate::runtime::context;

/// The most bytes of one write; as tokio.
const MAX_WRITE: usize = 2 * 1024 * 1024;

/// The standard output of the process.
///
/// A write is complete when its bytes are copied, and a thread writes them out. `flush` waits until
/// it has done so, and returns the error if it has failed; so does the next write. Whatever was
/// written is written out even without a flush, at the latest when the runtime is dropped, which
/// waits for it. Only [`std::process::exit`] may lose it. A write that begins after the
/// runtime has closed its pool is refused, and its flush returns the error: in the drop of a task
/// that was spawned while the runtime dropped the others.
///
/// Bytes of one write (up to 2 MiB) come out together, whatever other handles, threads and
/// [`println!`] write at the same time. A line that is written in several pieces (`write_all` of
/// more, [`BufWriter`](crate::io::BufWriter) with a small buffer) may be interrupted by others.
/// Writes of one handle keep their order; those of two handles do if the first is flushed before
/// the second begins.
///
/// The descriptor stays as it is, blocking or not, since other processes share it.
///
/// # Panics
///
/// If written to outside a runtime.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{self, AsyncWriteExt};
///
/// # #[aio_runtime::main]
/// # async fn main() -> io::Result<()> {
/// let mut stdout = io::stdout();
/// stdout.write_all(b"Name: ").await?;
/// stdout.flush().await?;
/// # Ok(())
/// # }
/// ```
pub fn stdout() -> Stdout {
    Stdout(Output::new(Target::Stdout))
}

/// The standard error of the process. All that is said of [`stdout`] holds for it.
///
/// # Panics
///
/// If written to outside a runtime.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{self, AsyncWriteExt};
///
/// # #[aio_runtime::main]
/// # async fn main() -> io::Result<()> {
/// io::stderr().write_all(b"it is late\n").await?;
/// # Ok(())
/// # }
/// ```
pub fn stderr() -> Stderr {
    Stderr(Output::new(Target::Stderr))
}

/// A handle to the standard output; see [`stdout`].
#[derive(Debug)]
pub struct Stdout(Output);

/// A handle to the standard error; see [`stderr`].
#[derive(Debug)]
pub struct Stderr(Output);

/// Where a handle writes to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Stdout,
    Stderr,
}

/// The state of a handle: at most one write is on its way.
#[derive(Debug)]
struct Output {
    target: Target,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The buffer, empty.
    Idle(Vec<u8>),
    /// The buffer is with the thread.
    Writing(Pooled<Vec<u8>, (io::Result<()>, Vec<u8>)>),
}

impl Output {
    fn new(target: Target) -> Self {
        Self { target, state: State::Idle(Vec::new()) }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let target = self.target;
        let idle = ready!(self.poll_idle(cx))?;
        let bytes = &bytes[..bytes.len().min(MAX_WRITE)];
        if !bytes.is_empty() {
            let mut buf = mem::take(idle);
            buf.extend_from_slice(bytes);
            self.state = State::Writing(context::surely_on_pool(buf, move |mut buf| {
                let written = target.write(&buf);
                buf.clear();
                (written, buf)
            }));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_idle(cx).map_ok(drop)
    }

    /// Waits until the last write has ended. Its error is told once.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Vec<u8>>> {
        if let State::Writing(writing) = &mut self.state {
            let ended = ready!(Pin::new(writing).poll(cx));
            self.state = State::Idle(Vec::new());
            let (written, buf) = ended?;
            self.state = State::Idle(buf);
            written?;
        }
        match &mut self.state {
            State::Idle(buf) => Poll::Ready(Ok(buf)),
            State::Writing(_) => unreachable!("it has just ended"),
        }
    }
}

impl Target {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }

    /// Writes all out, in one piece.
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => self.write_by(&mut io::stdout().lock(), bytes),
            Self::Stderr => self.write_by(&mut io::stderr().lock(), bytes),
        }
    }

    fn write_by(self, locked: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match insist(self.fd(), PollFlags::OUT, || locked.write(bytes))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        // What comes after the last line break is in std's buffer.
        insist(self.fd(), PollFlags::OUT, || locked.flush())
    }
}

macro_rules! output {
    ($Type:ident) => {
        impl AsyncWrite for $Type {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, buf)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }

            /// Flushes. The descriptor stays open.
            fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }
        }

        impl AsFd for $Type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.target.fd()
            }
        }

        impl AsRawFd for $Type {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }
    };
}

output!(Stdout);
output!(Stderr);
