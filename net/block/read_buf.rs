//! The methods that take tokio's `ReadBuf`, for hand-written futures. They exist with feature
//! `tokio-io` only.

/// `poll_peek` of a stream (by `&self`) or of a half that reads (by `&mut self`).
macro_rules! peek_methods {
    ($Type:ty, $self:ident: $Self:ty) => {
        const _: () = {
            use std::io;
            use std::task::{Context, Poll};

            use real_tokio::io::ReadBuf;

            impl $Type {
                /// [`peek`](Self::peek) for hand-written futures. Only the task of the latest call
                /// is woken, of this and of every other `poll_` function that reads.
                ///
                /// # Errors
                ///
                /// As for `peek`.
                #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
                pub fn poll_peek($self: $Self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
                    $self.block().poll_peek(cx, buf)
                }
            }
        };
    };
}

/// The methods by which a hand-written future receives a datagram.
macro_rules! poll_receive_methods {
    ($Datagram:ident, $Kind:ty, $Addr:ty) => {
        const _: () = {
            use std::io;
            use std::os::fd::BorrowedFd;
            use std::task::{Context, Poll};

            use real_tokio::io::ReadBuf;
            use rustix::net::RecvFlags;

            use $crate::net::block::unfilled;
            use $crate::reactor::Direction;

            impl $Datagram {
                /// [`recv`](Self::recv) for hand-written futures. Only the task of the latest call
                /// in the direction of receiving is woken.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
                pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                    self.poll_receive(cx, |fd| unfilled::recv(fd, buf, RecvFlags::empty()).map(drop))
                }

                /// [`recv_from`](Self::recv_from) for hand-written futures. Returns who has sent
                /// the datagram. Only the task of the latest call in the direction of receiving is
                /// woken.
                ///
                /// # Errors
                ///
                /// As for `recv_from`.
                #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
                pub fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<$Addr>> {
                    self.poll_receive(cx, |fd| {
                        let (_, sender) = unfilled::recv_from::<$Kind>(fd, buf, RecvFlags::empty())?;
                        Ok(sender)
                    })
                }

                /// [`peek`](Self::peek) for hand-written futures. Only the task of the latest call
                /// in the direction of receiving is woken.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
                pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                    self.poll_receive(cx, |fd| unfilled::recv(fd, buf, RecvFlags::PEEK).map(drop))
                }

                /// [`peek_from`](Self::peek_from) for hand-written futures. Returns who has sent
                /// the datagram. Only the task of the latest call in the direction of receiving is
                /// woken.
                ///
                /// # Errors
                ///
                /// As for `recv`.
                #[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
                pub fn poll_peek_from(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<$Addr>> {
                    self.poll_receive(cx, |fd| {
                        let (_, sender) = unfilled::recv_from::<$Kind>(fd, buf, RecvFlags::PEEK)?;
                        Ok(sender)
                    })
                }

                fn poll_receive<R>(
                    &self,
                    cx: &mut Context<'_>,
                    attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
                ) -> Poll<io::Result<R>> {
                    self.0.io().poll_io(cx, Direction::Read, attempt)
                }
            }
        };
    };
}

pub(crate) use {peek_methods, poll_receive_methods};
