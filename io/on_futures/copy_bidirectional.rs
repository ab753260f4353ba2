//! Copying both ways between two streams.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite, Error, ErrorKind, Result};

/// As many bytes as `copy` and tokio pass on at a time.
const BUF_SIZE: usize = 8 * 1024;

/// Copies both ways between two streams until both have ended. Returns the bytes that went from `a`
/// to `b`, and from `b` to `a`.
///
/// The end of one stream is passed on at once: when `a` has no more to read, `b` is closed for
/// writing, and what `b` sends still goes to `a`. When there is nothing to read at the moment, what
/// was written so far is flushed.
///
/// # Errors
///
/// The first error of either direction. The other one stops as well.
///
/// # Cancel safety
///
/// Not cancel safe: what was read and not written yet is lost, and so are the counts.
///
/// # Examples
///
/// ```
/// use aio_runtime::io::{self, AsyncReadExt, AsyncWriteExt, duplex};
///
/// # #[aio_runtime::main]
/// # async fn main() -> io::Result<()> {
/// let (mut client, mut a) = duplex(64);
/// let (mut b, mut server) = duplex(64);
/// let proxy = aio_runtime::spawn(async move { io::copy_bidirectional(&mut a, &mut b).await });
///
/// client.write_all(b"request").await?;
/// client.close().await?;
/// let mut request = String::new();
/// server.read_to_string(&mut request).await?;
///
/// // The client has sent everything, and still gets the answer.
/// server.write_all(b"answer to the ").await?;
/// server.write_all(request.as_bytes()).await?;
/// server.close().await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "answer to the request");
/// assert_eq!(proxy.await??, (7, 21));
/// # Ok(())
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    copy_bidirectional_with_sizes(a, b, BUF_SIZE, BUF_SIZE).await
}

/// The same as [`copy_bidirectional`], with buffers of these sizes instead of 8 KiB.
///
/// # Panics
///
/// If one of the sizes is 0.
///
/// # Errors
///
/// As for [`copy_bidirectional`].
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b_buf_size: usize,
    b_to_a_buf_size: usize,
) -> Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut a_to_b, mut b_to_a) = (OneWay::new(a_to_b_buf_size), OneWay::new(b_to_a_buf_size));
    // The directions take turns to go first: one that is always ready may use up the task's budget
    // in each poll, and would leave nothing to the other.
    let mut back_first = false;
    poll_fn(|cx| {
        let (there, back);
        if back_first {
            back = b_to_a.poll(cx, b, a)?;
            there = a_to_b.poll(cx, a, b)?;
        } else {
            there = a_to_b.poll(cx, a, b)?;
            back = b_to_a.poll(cx, b, a)?;
        }
        back_first = !back_first;
        Poll::Ready(Ok((ready!(there), ready!(back))))
    })
    .await
}

/// One direction.
struct OneWay {
    stage: Stage,
    buf: Box<[u8]>,
    /// What of the buffer was read, and is to be written.
    unwritten: Range<usize>,
    needs_flush: bool,
    copied: u64,
}

enum Stage {
    Copying,
    /// The reader has ended, and the writer is told.
    Closing,
    Done,
}

impl OneWay {
    fn new(buf_size: usize) -> Self {
        assert!(buf_size > 0, "copy_bidirectional: a buffer of 0 bytes passes nothing on");
        Self {
            stage: Stage::Copying,
            buf: vec![0; buf_size].into_boxed_slice(),
            unwritten: 0..0,
            needs_flush: false,
            copied: 0,
        }
    }

    /// Ready when everything is copied and the writer is closed; then it stays so.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<Result<u64>>
    where
        R: AsyncRead + Unpin + ?Sized,
        W: AsyncWrite + Unpin + ?Sized,
    {
        let (mut from, mut to) = (Pin::new(from), Pin::new(to));
        loop {
            match self.stage {
                Stage::Copying => {
                    ready!(self.poll_copy(cx, from.as_mut(), to.as_mut()))?;
                    self.stage = Stage::Closing;
                }
                Stage::Closing => {
                    ready!(to.as_mut().poll_close(cx))?;
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(self.copied)),
            }
        }
    }

    fn poll_copy<R, W>(&mut self, cx: &mut Context<'_>, mut from: Pin<&mut R>, mut to: Pin<&mut W>) -> Poll<Result<()>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        loop {
            if self.unwritten.is_empty() {
                match from.as_mut().poll_read(cx, &mut self.buf)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    Poll::Ready(read) => self.unwritten = 0..read,
                    Poll::Pending => {
                        if self.needs_flush {
                            ready!(to.as_mut().poll_flush(cx))?;
                            self.needs_flush = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
            let written = ready!(to.as_mut().poll_write(cx, &self.buf[self.unwritten.clone()]))?;
            if written == 0 {
                return Poll::Ready(Err(Error::new(ErrorKind::WriteZero, "the writer takes no more bytes")));
            }
            self.unwritten.start += written;
            self.copied += written as u64;
            self.needs_flush = true;
        }
    }
}
