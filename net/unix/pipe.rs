//! Pipes: anonymous ones, made by [`pipe`], and those with a name in the file system (FIFOs), which
//! [`OpenOptions`] opens.
//!
//! Names and meanings are those of `tokio::net::unix::pipe`. [`Receiver`] implements
//! [`futures::io::AsyncRead`], [`Sender`] [`futures::io::AsyncWrite`].
//!
//! - When the last sender has gone, a receiver reads the end of file, after what was written
//!   before. A receiver whose FIFO was opened with [`read_write`](OpenOptions::read_write) is a
//!   sender itself, so it never does.
//! - When the last receiver has gone, writing is an error (`BrokenPipe`) and never a `SIGPIPE`,
//!   whatever the process does with that signal.
//! - Up to 4096 bytes (`PIPE_BUF`) are written completely or not at all, and stay together.
//!
//! # Examples
//!
//! ```
//! use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use aio_runtime::net::unix::pipe;
//!
//! # #[aio_runtime::main]
//! # async fn main() -> std::io::Result<()> {
//! let (mut sender, mut receiver) = pipe::pipe()?;
//! let writing = aio_runtime::spawn(async move { sender.write_all(b"hello").await });
//! let mut text = String::new();
//! // To the end: the task drops the only sender.
//! receiver.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! writing.await?
//! # }
//! ```

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::task::{Context, Poll};

use rustix::buffer::Buffer;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::net::block::kind::{Reads, Writes};
use crate::net::block::methods::{read_methods, ready_method, write_methods};
use crate::net::block::stream::Stream;
use crate::net::block::traits::{futures_read, futures_write, read_traits, write_traits};
use crate::reactor::{Direction, Interest, Ready, write_to_pipe};
use crate::runtime::context;

/// The kind of a pipe's end that is read.
enum PipeRead {}

impl Reads for PipeRead {
    fn read<B: Buffer<u8>>(fd: BorrowedFd<'_>, buf: B) -> io::Result<B::Output> {
        Ok(rustix::io::read(fd, buf)?)
    }

    fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(fd, bufs)?)
    }
}

/// The kind of a pipe's end that is written.
enum PipeWrite {}

impl Writes for PipeWrite {
    fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
        write_to_pipe(fd, &[IoSlice::new(buf)])
    }

    fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        write_to_pipe(fd, bufs)
    }
}

/// Makes a pipe without a name.
///
/// # Errors
///
/// `EMFILE` and `ENFILE` when descriptors have run out, or the user's room for pipes.
///
/// # Panics
///
/// Outside a runtime.
///
/// # References
///
/// `pipe(2)`, `pipe(7)`.
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let home = context::home();
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((Sender(Stream::new(home, write)?), Receiver(Stream::new(home, read)?)))
}

/// How a FIFO is opened.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
/// use aio_runtime::net::unix::pipe::OpenOptions;
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("requests");
/// # rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)?;
/// // First: without a receiver there can be no sender.
/// let mut receiver = OpenOptions::new().open_receiver(&path)?;
/// let mut sender = OpenOptions::new().open_sender(&path)?;
/// sender.write_all(b"ping").await?;
/// let mut ping = [0; 4];
/// receiver.read_exact(&mut ping).await?;
/// assert_eq!(&ping, b"ping");
/// # Ok(())
/// # }
/// ```
///
/// # References
///
/// `fifo(7)`, `open(2)`.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Neither option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the FIFO for both reading and writing, whichever end is asked for. So a sender needs
    /// no receiver to be there, and a receiver outlives its senders: it never reads an end of file.
    /// POSIX leaves this undefined; Linux supports it.
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.read_write = value;
        self
    }

    /// Does not check that the file is a FIFO.
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.unchecked = value;
        self
    }

    /// Opens the end that is read. It need not have a sender yet: a read waits for the first one.
    /// (`try_read` returns the end of file until then, where tokio's returns `WouldBlock`.)
    ///
    /// # Errors
    ///
    /// Those of `open(2)`; `InvalidInput` if the file is not a FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let receiver = Receiver::from_file_unchecked(self.open(path.as_ref(), fs::OpenOptions::new().read(true))?)?;
        if !self.unchecked {
            // An attempt would meet an end of file, which is not one before the first sender has
            // gone. The kernel's poll knows that.
            receiver.0.io().clear_ready(Direction::Read);
        }
        Ok(receiver)
    }

    /// Opens the end that is written.
    ///
    /// # Errors
    ///
    /// `ENXIO` if nobody has opened the FIFO for reading; otherwise those of `open(2)`;
    /// `InvalidInput` if the file is not a FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        Sender::from_file_unchecked(self.open(path.as_ref(), fs::OpenOptions::new().write(true))?)
    }

    fn open(&self, path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
        if self.read_write {
            options.read(true).write(true);
        }
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if !self.unchecked {
            check_is_pipe(file.as_fd())?;
        }
        Ok(file)
    }
}

fn check_is_pipe(fd: BorrowedFd<'_>) -> io::Result<()> {
    match FileType::from_raw_mode(fstat(fd)?.st_mode) {
        FileType::Fifo => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe")),
    }
}

/// Checks that a descriptor is open for both, or for that `access`.
fn check_access(fd: BorrowedFd<'_>, access: OFlags, refusal: &'static str) -> io::Result<()> {
    let mode = fcntl_getfl(fd)? & OFlags::RWMODE;
    if mode == OFlags::RDWR || mode == access {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, refusal))
}

/// The end of a pipe that is written.
///
/// Dropping it closes it: if it is the last one, the receivers read the end of file at once.
/// Nothing else does: [`close`](crate::io::AsyncWriteExt::close) succeeds and changes nothing, as a
/// pipe has no write side that could end before its descriptor is closed.
pub struct Sender(Stream<PipeWrite>);

impl Sender {
    fn check(fd: BorrowedFd<'_>) -> io::Result<()> {
        check_access(fd, OFlags::WRONLY, "not in O_WRONLY or O_RDWR access mode")
    }

    /// Only dropping it ends the pipe.
    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a pipe that is read.
///
/// Dropping it closes it: if it is the last one, writing fails at once.
pub struct Receiver(Stream<PipeRead>);

impl Receiver {
    fn check(fd: BorrowedFd<'_>) -> io::Result<()> {
        check_access(fd, OFlags::RDONLY, "not in O_RDONLY or O_RDWR access mode")
    }
}

/// What both ends have.
macro_rules! end_methods {
    ($End:ident, $Kind:ty, $access:literal) => {
        impl $End {
            fn block(&self) -> &Stream<$Kind> {
                &self.0
            }

            /// Takes an open file for this end of a pipe, and puts it into non-blocking mode. That
            /// is a property of the open file, so it changes for every process that shares it, such
            /// as those with the same standard input.
            ///
            /// # Errors
            ///
            #[doc = concat!("`InvalidInput` if it is not a pipe or not open for ", $access, ".")]
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<Self> {
                Self::from_owned_fd(file.into())
            }

            /// Takes a descriptor, as [`from_file`](Self::from_file) takes a file.
            ///
            /// # Errors
            ///
            /// As for `from_file`.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd(owned_fd: OwnedFd) -> io::Result<Self> {
                check_is_pipe(owned_fd.as_fd())?;
                Self::check(owned_fd.as_fd())?;
                Ok(Self(Stream::from_blocking(owned_fd)?))
            }

            /// Takes a file that has to be in non-blocking mode, without a check. Where it is not,
            /// its calls block the loop.
            ///
            /// # Errors
            ///
            /// If the runtime cannot register it.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<Self> {
                Self::from_owned_fd_unchecked(file.into())
            }

            /// Takes a descriptor, as [`from_file_unchecked`](Self::from_file_unchecked) takes a
            /// file.
            ///
            /// # Errors
            ///
            /// If the runtime cannot register it.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd_unchecked(owned_fd: OwnedFd) -> io::Result<Self> {
                Ok(Self(Stream::new(context::home(), owned_fd)?))
            }

            /// The descriptor, in blocking mode, as a child process expects its standard input or
            /// output.
            ///
            /// # Errors
            ///
            /// Those of `ioctl(FIONBIO)`. On the thread of another runtime it returns a duplicate,
            /// and fails with `EMFILE` if the process has no descriptor left.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                rustix::io::ioctl_fionbio(&fd, false)?;
                Ok(fd)
            }

            /// The descriptor, which stays in non-blocking mode.
            ///
            /// # Errors
            ///
            /// On the thread of its runtime, none. On another one it returns a duplicate, and fails
            /// with `EMFILE` if the process has no descriptor left.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                self.0.into_fd()
            }
        }

        impl AsFd for $End {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $End {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_fd().as_raw_fd()
            }
        }

        impl std::fmt::Debug for $End {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($End)).field("fd", &self.as_raw_fd()).finish()
            }
        }
    };
}

impl Receiver {
    /// [`readable`](Self::readable) for hand-written futures. Only the task of the latest call is
    /// woken, of this and of every other `poll_` function that reads.
    ///
    /// # Errors
    ///
    /// As for `readable`.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.io().poll_ready(cx, Direction::Read)
    }

    /// Attempts a read of your own, without waiting. If it returns `WouldBlock`, the runtime takes
    /// note that the pipe is not ready.
    ///
    /// It is called also when nothing is known to be ready. (tokio's is not called then.)
    ///
    /// # Errors
    ///
    /// Those of `attempt`.
    pub fn try_io<R>(&self, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.io().try_io_for(Interest::READABLE, attempt)
    }
}

impl Sender {
    /// [`writable`](Self::writable) for hand-written futures. Only the task of the latest call is
    /// woken, of this and of every other `poll_` function that writes.
    ///
    /// # Errors
    ///
    /// As for `writable`.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.io().poll_ready(cx, Direction::Write)
    }

    /// Waits until one of these is probably so, and says what is. It includes
    /// [`WRITE_CLOSED`](Ready::WRITE_CLOSED) if the last receiver has gone. Any number of tasks may
    /// wait.
    ///
    /// # Errors
    ///
    /// If the runtime cannot wait for the descriptor.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing has happened.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.0.io().ready_for(interest).await?.of_pipe().concerning(interest))
    }

    /// Attempts a write of your own, without waiting. If it returns `WouldBlock`, the runtime takes
    /// note that the pipe is not ready.
    ///
    /// It is called also when nothing is known to be ready. (tokio's is not called then.)
    ///
    /// # Errors
    ///
    /// Those of `attempt`.
    pub fn try_io<R>(&self, attempt: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.io().try_io_for(Interest::WRITABLE, attempt)
    }
}

end_methods!(Sender, PipeWrite, "writing");
end_methods!(Receiver, PipeRead, "reading");
ready_method!(Receiver);
read_methods!(Receiver);
write_methods!(Sender);
read_traits!(Receiver);
futures_read!(&Receiver);
write_traits!(Sender);
futures_write!(&Sender);
