//! The methods that streams and their halves share, as macros, so that each type has them under its
//! own name: `surface.rs` and `split.rs` put them on their types.

/// The methods of what reads: a stream or a half, with a `block()` of a kind that [`Reads`].
macro_rules! read_methods {
    ($Type:ty) => {
        const _: () = {
            use std::io::{self, IoSliceMut};

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

/// The methods of what has a connected socket: a stream or a half, with a `block()` of a kind that
/// is a [`Socket`].
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
                    self.block().local_addr()
                }

                /// The address of the other end.
                ///
                /// # Errors
                ///
                /// `ENOTCONN` if the connection is gone.
                pub fn peer_addr(&self) -> io::Result<$Addr> {
                    self.block().peer_addr()
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

pub(crate) use {read_methods, socket_methods, write_methods};
