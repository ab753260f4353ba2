//! What the halves of a TCP connection have of [`TcpStream`](super::TcpStream)'s own.

use std::io;
use std::net::SocketAddr;

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

/// Passes methods on to the stream: those of both kinds of half, and those of a kind.
macro_rules! pass_on {
    (reads: $half:ty) => {
        impl $half {
            /// As [`TcpStream::peek`](super::TcpStream::peek).
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buf).await
            }

            /// As [`TcpStream::readable`](super::TcpStream::readable).
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn readable(&self) -> io::Result<()> {
                self.as_ref().readable().await
            }

            /// As [`TcpStream::try_read`](super::TcpStream::try_read).
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().try_read(buf)
            }
        }

        pass_on!(addresses: $half);
    };
    (writes: $half:ty) => {
        impl $half {
            /// As [`TcpStream::writable`](super::TcpStream::writable).
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn writable(&self) -> io::Result<()> {
                self.as_ref().writable().await
            }

            /// As [`TcpStream::try_write`](super::TcpStream::try_write).
            ///
            /// # Errors
            ///
            /// As there.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.as_ref().try_write(buf)
            }
        }

        pass_on!(addresses: $half);
    };
    (addresses: $half:ty) => {
        impl $half {
            /// As [`TcpStream::local_addr`](super::TcpStream::local_addr).
            ///
            /// # Errors
            ///
            /// As there.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().local_addr()
            }

            /// As [`TcpStream::peer_addr`](super::TcpStream::peer_addr).
            ///
            /// # Errors
            ///
            /// As there.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().peer_addr()
            }
        }
    };
}

pass_on!(reads: ReadHalf<'_>);
pass_on!(reads: OwnedReadHalf);
pass_on!(writes: WriteHalf<'_>);
pass_on!(writes: OwnedWriteHalf);
