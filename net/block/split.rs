//! The two halves of a stream, borrowed or owned, for any kind of stream.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

/// What a write half does when it is dropped.
pub trait ShutdownWrite {
    /// Ends the write side.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// Makes the two halves that borrow a stream.
pub(crate) fn split<S>(stream: &mut S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf(stream), WriteHalf(stream))
}

/// Makes the two halves that own a stream together.
pub(crate) fn into_split<S: ShutdownWrite>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Rc::new(stream);
    (OwnedReadHalf { stream: Rc::clone(&stream) }, OwnedWriteHalf { stream, shutdown_on_drop: true })
}

/// The half of a borrowed stream that reads.
#[derive(Debug)]
pub struct ReadHalf<'a, S>(&'a S);

/// The half of a borrowed stream that writes. Closing it ends the write side; dropping it does not.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(&'a S);

/// The half of a stream that reads. The descriptor is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf<S> {
    stream: Rc<S>,
}

/// The half of a stream that writes. Dropping it ends the write side: the peer reads end of file.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: ShutdownWrite> {
    stream: Rc<S>,
    shutdown_on_drop: bool,
}

impl<S: ShutdownWrite> OwnedReadHalf<S> {
    /// Puts the two halves together again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of one stream.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        Ok(Rc::into_inner(self.stream).expect("a stream has two halves, and the other one is gone"))
    }
}

impl<S: ShutdownWrite> WriteHalf<'_, S> {
    /// Ends the write side: the peer reads end of file after what was written.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

impl<S: ShutdownWrite> OwnedWriteHalf<S> {
    /// Ends the write side: the peer reads end of file after what was written.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        // Once is enough.
        self.shutdown_on_drop = false;
        Ok(())
    }

    /// Puts the two halves together again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of one stream.
    pub fn reunite(self, read: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        read.reunite(self)
    }

    /// Drops the half and leaves the write side open.
    pub fn forget(mut self) {
        self.shutdown_on_drop = false;
    }
}

impl<S: ShutdownWrite> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // Fails only where the connection has ended already.
            let _ = self.stream.shutdown_write();
        }
    }
}

/// The halves given to `reunite` are of different streams; here they are again.
#[derive(Debug)]
pub struct ReuniteError<S: ShutdownWrite>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: ShutdownWrite> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves that are not from the same stream")
    }
}

impl<S: ShutdownWrite + fmt::Debug> std::error::Error for ReuniteError<S> {}

impl<S> AsRef<S> for ReadHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for WriteHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for OwnedReadHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: ShutdownWrite> AsRef<S> for OwnedWriteHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

/// `AsyncRead` of a half, by way of the stream's own.
macro_rules! read_half {
    ($half:ty) => {
        impl<S> AsyncRead for $half
        where
            for<'s> &'s S: AsyncRead,
        {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_read_vectored(cx, bufs)
            }
        }
    };
}

/// `AsyncWrite` of a half, by way of the stream's own.
macro_rules! write_half {
    ($half:ty) => {
        impl<S: ShutdownWrite> AsyncWrite for $half
        where
            for<'s> &'s S: AsyncWrite,
        {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut (*self).as_ref()).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut (*self).as_ref()).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().end())
            }
        }
    };
}

read_half!(ReadHalf<'_, S>);
read_half!(OwnedReadHalf<S>);
write_half!(WriteHalf<'_, S>);
write_half!(OwnedWriteHalf<S>);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Counts how often its write side is ended.
    #[derive(Debug, Default)]
    struct Counted(Rc<Cell<u32>>);

    impl ShutdownWrite for Counted {
        fn shutdown_write(&self) -> io::Result<()> {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
    }

    #[test]
    fn an_owned_write_half_ends_its_side_once() {
        for shut_down_before in [false, true] {
            let stream = Counted::default();
            let times = stream.0.clone();
            let (_reader, mut writer) = into_split(stream);
            if shut_down_before {
                futures::executor::block_on(writer.shutdown()).unwrap();
            }
            drop(writer);
            assert_eq!(times.get(), 1);
        }
    }
}
