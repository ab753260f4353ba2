//! The surface of a stream: what all stream types and their halves show, over the code in
//! `stream.rs`.
//!
//! A method of the block is repeated here, once for all kinds, so that it is documented under the
//! name of each type; `net/mod.rs` says why the types are not aliases.

/// What a newtype of `Stream` of some kind has in common with those of other kinds: methods,
/// traits, and the types of its halves.
macro_rules! stream_surface {
    ($Stream:ident { kind: $Kind:ty, addr: $Addr:ty, std: $Std:ty }) => {
        const _: () = {
            use std::io;
            use std::os::fd::OwnedFd;
            use std::task::{Context, Poll};

            use $crate::net::block::split::ShutdownWrite;
            use $crate::net::block::stream::Stream;
            use $crate::reactor::{Direction, Home};

            impl $Stream {
                /// Registers a socket that is in non-blocking mode.
                pub(super) fn register(home: Home, fd: OwnedFd) -> io::Result<Self> {
                    Ok(Self(Stream::new(home, fd)?))
                }

                pub(super) fn block(&self) -> &Stream<$Kind> {
                    &self.0
                }

                /// [`readable`](Self::readable) for hand-written futures. Only the task of the
                /// latest call is woken, of this and of every other `poll_` function that reads.
                ///
                /// # Errors
                ///
                /// As for `readable`.
                pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.0.io().poll_ready(cx, Direction::Read)
                }

                /// [`writable`](Self::writable) for hand-written futures. Only the task of the
                /// latest call is woken, of this and of every other `poll_` function that writes.
                ///
                /// # Errors
                ///
                /// As for `writable`.
                pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    self.0.io().poll_ready(cx, Direction::Write)
                }

                /// Reads and leaves the data there: the next read returns the same bytes. 0 bytes
                /// are the end of the stream, unless the buffer is empty.
                ///
                /// # Errors
                ///
                /// Those of `recv(2)`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, nothing has happened.
                pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                    self.0.peek(buf).await
                }

                /// Ends the write side: the peer reads end of file after what was written. Reading
                /// goes on. If the connection is gone already, there is nothing to end, and no
                /// error.
                ///
                /// # Errors
                ///
                /// Those of `shutdown(2)`, except `ENOTCONN`.
                pub async fn shutdown(&self) -> io::Result<()> {
                    self.shutdown_write()
                }

                fn shutdown_write(&self) -> io::Result<()> {
                    self.0.shutdown_write()
                }
            }

            impl ShutdownWrite for $Stream {
                fn shutdown_write(&self) -> io::Result<()> {
                    self.0.shutdown_write()
                }
            }

            impl AsRef<$Stream> for $Stream {
                fn as_ref(&self) -> &$Stream {
                    self
                }
            }
        };

        $crate::net::block::methods::ready_method!($Stream);
        $crate::net::block::methods::try_io_method!($Stream);
        $crate::net::block::methods::async_io_method!($Stream);
        $crate::net::block::methods::read_methods!($Stream);
        $crate::net::block::methods::write_methods!($Stream);
        $crate::net::block::methods::socket_methods!($Stream, $Kind, $Addr);
        $crate::net::block::methods::std_methods!($Stream, $Kind, $crate::net::block::stream::Stream<$Kind>, $Std);
        #[cfg(feature = "tokio-io")]
        $crate::net::block::read_buf::peek_methods!($Stream, self: &Self);
        $crate::net::block::traits::read_traits!($Stream);
        $crate::net::block::traits::futures_read!(&$Stream);
        $crate::net::block::traits::write_traits!($Stream);
        $crate::net::block::traits::futures_write!(&$Stream);
        $crate::net::block::split::split_types!($Stream { kind: $Kind, addr: $Addr });
    };
}

pub(crate) use stream_surface;
