//! The traits of a type that has them from one of its fields.

/// Implements `AsyncRead` and `AsyncBufRead` by a pinned field.
macro_rules! forward_read {
    ($Type:ident<$($Param:ident),+>, $field:ident: $Field:ty) => {
        impl<$($Param),+> ::futures::io::AsyncRead for $Type<$($Param),+>
        where
            $Field: ::futures::io::AsyncRead,
        {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut [u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.project().$field.poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.project().$field.poll_read_vectored(cx, bufs)
            }
        }

        impl<$($Param),+> ::futures::io::AsyncBufRead for $Type<$($Param),+>
        where
            $Field: ::futures::io::AsyncBufRead,
        {
            fn poll_fill_buf(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<&[u8]>> {
                self.project().$field.poll_fill_buf(cx)
            }

            fn consume(self: ::std::pin::Pin<&mut Self>, amount: usize) {
                self.project().$field.consume(amount);
            }
        }
    };
}

/// Implements `AsyncWrite` by a pinned field.
macro_rules! forward_write {
    ($Type:ident<$($Param:ident),+>, $field:ident: $Field:ty) => {
        impl<$($Param),+> ::futures::io::AsyncWrite for $Type<$($Param),+>
        where
            $Field: ::futures::io::AsyncWrite,
        {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.project().$field.poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                self.project().$field.poll_write_vectored(cx, bufs)
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.project().$field.poll_flush(cx)
            }

            fn poll_close(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                self.project().$field.poll_close(cx)
            }
        }
    };
}

pub(super) use {forward_read, forward_write};
