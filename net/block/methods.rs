//! The methods that several types share, as macros, so that each type has them under its own name:
//! the surfaces of the blocks and `split.rs` put them on their types.

/// The methods of what reads: a stream or a half, with a `block()` of a kind that [`Reads`].
macro_rules! read_methods {
    ($Type:ty) => {
        const _: () = {
            use std::io::{self, IoSliceMut};
            use std::task::{Context, Poll};

            use $crate::net::pool::{Chunk, Pool, PooledRead};

            use bytes::BufMut;

            impl $Type {
                /// Waits until the stream is probably readable: there is data, its end or an error.
                /// A false positive is possible: [`try_read`](Self::try_read) then returns
                /// `WouldBlock`. Any number of tasks may wait.
                ///
                /// # Errors
                ///
                /// If the runtime cannot wait for the descriptor.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn readable(&self) -> io::Result<()> {
                    self.block().readable().await
                }

                /// Tries to read without waiting. 0 bytes are the end of the stream, unless the
                /// buffer is empty.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to read; otherwise those of `recv(2)`, or of
                /// `read(2)` for a pipe.
                pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                    self.block().try_read(buf)
                }

                /// Tries to read into a buffer that grows, such as a `Vec` or a `BytesMut`, without
                /// waiting. Returns the number of bytes, by which the buffer has advanced. 0 bytes
                /// are the end of the stream, unless the buffer has no room.
                ///
                /// It reads no more than there is room for, if there is any.
                ///
                /// # Errors
                ///
                /// As for [`try_read`](Self::try_read).
                pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                    self.block().try_read_buf(buf)
                }

                /// Tries to read into several buffers, one after the other, without waiting. 0
                /// bytes are the end of the stream, unless all buffers are empty.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to read; otherwise those of `readv(2)`.
                pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                    self.block().try_read_vectored(bufs)
                }
            }

            impl PooledRead for $Type {
                fn poll_read_pooled(&self, cx: &mut Context<'_>, pool: &Pool) -> Poll<io::Result<Chunk>> {
                    self.block().poll_read_pooled(cx, pool)
                }
            }
        };
    };
}

/// The methods of what writes: a stream or a half, with a `block()` of a kind that [`Writes`].
macro_rules! write_methods {
    ($Type:ty) => {
        const _: () = {
            use std::io::{self, IoSlice};

            impl $Type {
                /// Waits until the stream is probably writable: there is room, or an error. A false
                /// positive is possible: [`try_write`](Self::try_write) then returns `WouldBlock`.
                /// Any number of tasks may wait.
                ///
                /// # Errors
                ///
                /// If the runtime cannot wait for the descriptor.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn writable(&self) -> io::Result<()> {
                    self.block().writable().await
                }

                /// Tries to write without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is no room; otherwise those of `send(2)`, or of `write(2)`
                /// for a pipe.
                pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                    self.block().try_write(buf)
                }

                /// Tries to write from several buffers, one after the other, without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is no room; otherwise those of `sendmsg(2)`, or of
                /// `writev(2)` for a pipe.
                pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                    self.block().try_write_vectored(bufs)
                }
            }
        };
    };
}

/// Waiting for readiness of several kinds, for a type with a `block()` that has an `io()`.
macro_rules! ready_method {
    ($Type:ty) => {
        impl $Type {
            /// Waits until one of these is probably so, and says what is: one wait for reading and
            /// writing, say. A false positive is possible: an attempt then returns `WouldBlock`.
            /// Any number of tasks may wait.
            ///
            /// # Errors
            ///
            /// If the runtime cannot wait for the descriptor.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped before it is ready, nothing has happened.
            pub async fn ready(&self, interest: $crate::reactor::Interest) -> std::io::Result<$crate::reactor::Ready> {
                Ok(self.block().io().ready_for(interest).await?.concerning(interest))
            }
        }
    };
}

/// An attempt of the user's own, without waiting, for a type with a `block()` that has an `io()`.
macro_rules! try_io_method {
    ($Type:ty) => {
        impl $Type {
            /// Attempts an operation of your own on the descriptor, without waiting. If it returns
            /// `WouldBlock`, the runtime takes note that what `interest` names is not ready.
            ///
            /// It may be called also when nothing is ready: the descriptor is waited for only when
            /// somebody waits. (tokio's is not called then.)
            ///
            /// # Errors
            ///
            /// Those of `attempt`; `WouldBlock`, without a call of it, if it is known to be in
            /// vain.
            pub fn try_io<R>(
                &self,
                interest: $crate::reactor::Interest,
                attempt: impl FnOnce() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.block().io().try_io_for(interest, attempt)
            }
        }
    };
}

/// An attempt of the user's own that waits, for a type with a `block()` that has an `io()`.
macro_rules! async_io_method {
    ($Type:ty) => {
        impl $Type {
            /// Attempts an operation of your own on the descriptor, and waits while it returns
            /// `WouldBlock`, which it must return only if the descriptor is not ready for what
            /// `interest` names.
            ///
            /// # Errors
            ///
            /// Those of `attempt`, except `WouldBlock` and `Interrupted`; and if the runtime cannot
            /// wait for the descriptor.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped before it is ready, no attempt has succeeded.
            pub async fn async_io<R>(
                &self,
                interest: $crate::reactor::Interest,
                attempt: impl FnMut() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.block().io().io_for(interest, attempt).await
            }
        }
    };
}

/// The methods of what has a socket with two ends: a stream, a half or a datagram socket, with a
/// `block()` of a kind that is a [`Socket`].
macro_rules! socket_methods {
    ($Name:ident $(<$lifetime:lifetime>)?, $Kind:ty, $Addr:ty) => {
        const _: () = {
            use std::os::fd::AsFd;
            use std::{fmt, io};

            use $crate::net::block::kind::Socket;

            impl $Name $(<$lifetime>)? {
                /// The address of this end.
                ///
                /// # Errors
                ///
                /// Those of `getsockname(2)`.
                pub fn local_addr(&self) -> io::Result<$Addr> {
                    <$Kind as Socket>::local_addr(self.block().as_fd())
                }

                /// The address of the other end.
                ///
                /// # Errors
                ///
                /// `ENOTCONN` if there is none, or not any more.
                pub fn peer_addr(&self) -> io::Result<$Addr> {
                    <$Kind as Socket>::peer_addr(self.block().as_fd())
                }
            }

            impl fmt::Debug for $Name $(<$lifetime>)? {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    <$Kind as Socket>::describe(self.block().as_fd(), stringify!($Name), f)
                }
            }
        };
    };
}

/// What a newtype of a block of sockets has in common with std's type: the conversions, the
/// descriptor, and the error that is pending on it.
macro_rules! std_methods {
    ($Type:ident, $Kind:ty, $Block:ty, $Std:ty) => {
        const _: () = {
            use std::io;
            use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

            use $crate::net::block::kind::Socket;

            impl $Type {
                #[doc = concat!("Converts from a [`", stringify!($Std), "`], and puts it into non-blocking mode.")]
                ///
                /// # Errors
                ///
                /// Those of `ioctl(FIONBIO)`.
                ///
                /// # Panics
                ///
                /// Outside a runtime.
                #[track_caller]
                pub fn from_std(socket: $Std) -> io::Result<Self> {
                    Ok(Self(<$Block>::from_blocking(socket.into())?))
                }

                #[doc = concat!("Converts to a [`", stringify!($Std), "`]. It stays in non-blocking mode.")]
                ///
                /// # Errors
                ///
                /// On the thread of its runtime, none. On another one it returns a duplicate, and
                /// fails with `EMFILE` if the process has no descriptor left.
                pub fn into_std(self) -> io::Result<$Std> {
                    Ok(self.0.into_fd()?.into())
                }

                /// The error that is pending on the socket (`SO_ERROR`), which is then cleared.
                ///
                /// # Errors
                ///
                /// Those of `getsockopt(2)`.
                pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                    <$Kind as Socket>::take_error(self.0.as_fd())
                }
            }

            impl TryFrom<$Std> for $Type {
                type Error = io::Error;

                /// As [`from_std`](Self::from_std).
                #[track_caller]
                fn try_from(socket: $Std) -> io::Result<Self> {
                    Self::from_std(socket)
                }
            }

            impl AsFd for $Type {
                fn as_fd(&self) -> BorrowedFd<'_> {
                    self.0.as_fd()
                }
            }

            impl AsRawFd for $Type {
                fn as_raw_fd(&self) -> RawFd {
                    self.0.as_fd().as_raw_fd()
                }
            }
        };
    };
}

pub(crate) use {
    async_io_method, read_methods, ready_method, socket_methods, std_methods, try_io_method, write_methods,
};
