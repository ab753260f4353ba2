//! The `futures` crate's traits of reading and writing, for every stream and half.

/// [`AsyncRead`](futures::io::AsyncRead) for a type with a `block()` of a kind that
/// [`Reads`](super::kind::Reads).
macro_rules! async_read {
    ($Type:ty) => {
        const _: () = {
            use std::io::{self, IoSliceMut};
            use std::pin::Pin;
            use std::task::{Context, Poll};

            impl futures::io::AsyncRead for $Type {
                fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                    self.block().poll_read(cx, buf)
                }

                fn poll_read_vectored(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bufs: &mut [IoSliceMut<'_>],
                ) -> Poll<io::Result<usize>> {
                    self.block().poll_read_vectored(cx, bufs)
                }
            }
        };
    };
}

/// [`AsyncWrite`](futures::io::AsyncWrite) for a type with a `block()` of a kind that
/// [`Writes`](super::kind::Writes), and with a `shutdown_write`.
macro_rules! async_write {
    ($Type:ty) => {
        const _: () = {
            use std::io::{self, IoSlice};
            use std::pin::Pin;
            use std::task::{Context, Poll};

            impl futures::io::AsyncWrite for $Type {
                fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                    self.block().poll_write(cx, buf)
                }

                fn poll_write_vectored(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bufs: &[IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    self.block().poll_write_vectored(cx, bufs)
                }

                /// Does nothing: a stream has no buffer of its own.
                fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                /// Shuts a socket's write side down. Does nothing to a pipe.
                fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(self.get_mut().shutdown_write())
                }
            }
        };
    };
}

pub(crate) use {async_read, async_write};
