//! The methods that receive datagrams into a buffer that grows.

/// `recv_buf`, `recv_buf_from`, and the same without waiting.
macro_rules! receive_buf_methods {
    ($Datagram:ident, $Kind:ty, $Addr:ty) => {
        const _: () = {
            use std::io;
            use std::os::fd::BorrowedFd;

            use bytes::BufMut;
            use rustix::net::RecvFlags;

            use $crate::net::block::unfilled::{self, NextChunk};
            use $crate::reactor::Direction;

            impl $Datagram {
                /// [`recv`](Self::recv) into a buffer that grows, such as a `Vec` or a `BytesMut`.
                /// Returns the datagram's length, by which the buffer has advanced.
                ///
                /// A datagram that is longer than the room that there is (a `Vec`'s capacity beyond
                /// its length) is cut. Only a buffer without any room makes some, and not much.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, no datagram is lost.
                ///
                /// # Examples
                ///
                /// ```
                #[doc = concat!("use aio_runtime::net::", stringify!($Datagram), ";")]
                ///
                /// # #[aio_runtime::main]
                /// # async fn main() -> std::io::Result<()> {
                #[doc = concat!("async fn receive(socket: &", stringify!($Datagram), ") -> std::io::Result<Vec<u8>> {")]
                ///     let mut datagram = Vec::with_capacity(2048);
                ///     socket.recv_buf(&mut datagram).await?;
                ///     Ok(datagram)
                /// }
                /// # Ok(())
                /// # }
                /// ```
                pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                    let attempt = |fd: BorrowedFd<'_>| unfilled::recv(fd, &mut NextChunk(buf), RecvFlags::empty());
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`recv_buf`](Self::recv_buf) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
                pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                    self.0
                        .io()
                        .try_io(Direction::Read, |fd| unfilled::recv(fd, &mut NextChunk(buf), RecvFlags::empty()))
                }

                /// [`recv_buf`](Self::recv_buf), which also returns who has sent the datagram.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped before it is ready, no datagram is lost.
                pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, $Addr)> {
                    let attempt =
                        |fd: BorrowedFd<'_>| unfilled::recv_from::<$Kind>(fd, &mut NextChunk(buf), RecvFlags::empty());
                    self.0.io().io(Direction::Read, attempt).await
                }

                /// [`recv_buf_from`](Self::recv_buf_from) without waiting.
                ///
                /// # Errors
                ///
                /// `WouldBlock` if there is nothing to receive; otherwise as for `recv`.
                pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, $Addr)> {
                    let attempt =
                        |fd: BorrowedFd<'_>| unfilled::recv_from::<$Kind>(fd, &mut NextChunk(buf), RecvFlags::empty());
                    self.0.io().try_io(Direction::Read, attempt)
                }
            }
        };
    };
}

pub(crate) use receive_buf_methods;
