//! A stream with a buffer for each direction.

use futures::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use super::forward::{forward_read, forward_write};

pin_project_lite::pin_project! {
    /// A stream with a buffer for each direction: [`BufReader`] and [`BufWriter`] in one.
    ///
    /// What was written stays in the buffer until it is full, or flushed. Dropped, it is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use aio_runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufStream, duplex};
    ///
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (client, server) = duplex(1024);
    /// let (mut client, mut server) = (BufStream::new(client), BufStream::new(server));
    /// client.write_all(b"hello\n").await?;
    /// client.flush().await?;
    /// let mut line = String::new();
    /// server.read_line(&mut line).await?;
    /// assert_eq!(line, "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct BufStream<S> {
        #[pin]
        inner: BufReader<BufWriter<S>>,
    }
}

impl<S: AsyncRead + AsyncWrite> BufStream<S> {
    /// With the buffers that [`BufReader::new`] and [`BufWriter::new`] have.
    pub fn new(stream: S) -> Self {
        Self { inner: BufReader::new(BufWriter::new(stream)) }
    }

    /// With buffers of these sizes.
    pub fn with_capacity(reader: usize, writer: usize, stream: S) -> Self {
        Self { inner: BufReader::with_capacity(reader, BufWriter::with_capacity(writer, stream)) }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref().get_ref()
    }

    /// The stream, to be changed. What is read from it or written to it misses the buffers.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut().get_mut()
    }

    /// The stream, without the buffers. What they hold is lost.
    pub fn into_inner(self) -> S {
        self.inner.into_inner().into_inner()
    }
}

forward_read!(BufStream<S>, inner: BufReader<BufWriter<S>>);
forward_write!(BufStream<S>, inner: BufReader<BufWriter<S>>);
