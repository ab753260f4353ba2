//! A reader and a writer as one stream, and one stream as a reader and a writer.

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};

use super::forward::{forward_read, forward_write};

/// Splits a stream into a half that reads and a half that writes, each for a task of its own.
///
/// The halves lock each other out while one of them is polled. The streams of [`net`](crate::net)
/// have halves of their own that need not; see `into_split`. [`ReadHalf::reunite`] puts them
/// together again.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{self, AsyncReadExt, AsyncWriteExt};
///
/// # #[aio_runtime::main]
/// # async fn main() -> io::Result<()> {
/// let (near, mut far) = io::duplex(64);
/// let (mut reader, mut writer) = io::split(near);
/// let echo = aio_runtime::spawn(async move {
///     let mut byte = [0];
///     far.read_exact(&mut byte).await?;
///     far.write_all(&byte).await
/// });
/// writer.write_all(b"x").await?;
/// let mut byte = [0];
/// reader.read_exact(&mut byte).await?;
/// assert_eq!(&byte, b"x");
/// echo.await?
/// # }
/// ```
pub fn split<S: AsyncRead + AsyncWrite>(stream: S) -> (ReadHalf<S>, WriteHalf<S>) {
    stream.split()
}

/// Joins a reader and a writer into one stream.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{self, AsyncReadExt, AsyncWriteExt, Cursor};
///
/// # #[aio_runtime::main]
/// # async fn main() -> io::Result<()> {
/// let mut stream = io::join(Cursor::new(b"read"), Vec::new());
/// let mut read = String::new();
/// stream.read_to_string(&mut read).await?;
/// stream.write_all(b"written").await?;
/// assert_eq!((read.as_str(), stream.writer().as_slice()), ("read", b"written".as_slice()));
/// # Ok(())
/// # }
/// ```
pub fn join<R, W>(reader: R, writer: W) -> Join<R, W> {
    Join { reader, writer }
}

pin_project_lite::pin_project! {
    /// A reader and a writer as one stream; see [`join`].
    #[derive(Debug)]
    pub struct Join<R, W> {
        #[pin]
        reader: R,
        #[pin]
        writer: W,
    }
}

impl<R, W> Join<R, W> {
    /// Takes the stream apart.
    pub fn into_inner(self) -> (R, W) {
        (self.reader, self.writer)
    }

    /// The reader.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The writer.
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// The reader, to be changed.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The writer, to be changed.
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }
}

forward_read!(Join<R, W>, reader: R);
forward_write!(Join<R, W>, writer: W);
