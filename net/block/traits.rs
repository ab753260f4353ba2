//! The traits of reading and writing, for every stream and half: those of the `futures` crate, and
//! with features `tokio-io` and `hyper` those of tokio and hyper.

/// The traits of reading, for a type with a `block()` of a kind that
/// [`Reads`](super::kind::Reads).
macro_rules! read_traits {
    ($Type:ty) => {
        $crate::net::block::traits::futures_read!($Type);

        #[cfg(feature = "tokio-io")]
        const _: () = {
            use std::io;
            use std::pin::Pin;
            use std::task::{Context, Poll};

            use real_tokio::io::{AsyncRead, ReadBuf};

            #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
            impl AsyncRead for $Type {
                fn poll_read(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buf: &mut ReadBuf<'_>,
                ) -> Poll<io::Result<()>> {
                    let room = buf.remaining();
                    self.block().poll_fill(cx, buf, room)
                }
            }
        };

        #[cfg(feature = "hyper")]
        const _: () = {
            use std::io;
            use std::pin::Pin;
            use std::task::{Context, Poll};

            use ::hyper::rt::{Read, ReadBufCursor};

            #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
            impl Read for $Type {
                fn poll_read(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    mut buf: ReadBufCursor<'_>,
                ) -> Poll<io::Result<()>> {
                    let room = buf.remaining();
                    self.block().poll_fill(cx, &mut buf, room)
                }
            }
        };
    };
}

/// The traits of writing, for a type with a `block()` of a kind that
/// [`Writes`](super::kind::Writes), and with a `shutdown_write`.
macro_rules! write_traits {
    ($Type:ty) => {
        $crate::net::block::traits::futures_write!($Type);

        #[cfg(feature = "tokio-io")]
        $crate::net::block::traits::write_trait! {
            #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
            $Type: real_tokio::io::AsyncWrite { poll_shutdown, is_write_vectored }
        }

        #[cfg(feature = "hyper")]
        $crate::net::block::traits::write_trait! {
            #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
            $Type: ::hyper::rt::Write { poll_shutdown, is_write_vectored }
        }
    };
}

/// [`futures::io::AsyncRead`], which references to a stream have, too.
macro_rules! futures_read {
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

/// [`futures::io::AsyncWrite`], which references to a stream have, too.
macro_rules! futures_write {
    ($Type:ty) => {
        $crate::net::block::traits::write_trait! {
            $Type: futures::io::AsyncWrite { poll_close }
        }
    };
}

/// One trait of writing. They differ in the name of what ends it, and in whether they ask for an
/// efficient vectored write.
macro_rules! write_trait {
    ($(#[$meta:meta])* $Type:ty: $Trait:path { $poll_end:ident $(, $is_write_vectored:ident)? }) => {
        const _: () = {
            use std::io::{self, IoSlice};
            use std::pin::Pin;
            use std::task::{Context, Poll};

            $(#[$meta])*
            impl $Trait for $Type {
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

                $(fn $is_write_vectored(&self) -> bool {
                    true
                })?

                /// Does nothing: a stream has no buffer of its own.
                fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                /// Shuts a socket's write side down. Does nothing to a pipe.
                fn $poll_end(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(self.get_mut().shutdown_write())
                }
            }
        };
    };
}

pub(crate) use {futures_read, futures_write, read_traits, write_trait, write_traits};
