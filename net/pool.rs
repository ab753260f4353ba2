//! Buffers that connections share: one that waits owns none.
//!
//! A read that is given a buffer keeps it for as long as it waits. For ten thousand connections
//! that say nothing this is most of what they cost. Here a read takes its buffer from a [`Pool`]
//! when it tries, and only a read that has found something keeps it, until its [`Chunk`] is
//! dropped. (A ring of completions, as io_uring is, has to know the buffer before it waits; waiting
//! for readiness does not.)
//!
//! # Examples
//!
//! An echo whose idle connections cost nothing but their tasks:
//!
//! ```no_run
//! use aio_runtime::net::TcpListener;
//! use aio_runtime::net::pool::{self, Pool};
//!
//! #[aio_runtime::main]
//! async fn main() -> std::io::Result<()> {
//!     let pool = Pool::new(16 * 1024);
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let pool = pool.clone();
//!         aio_runtime::spawn(async move { pool::copy(&stream, &mut &stream, &pool).await });
//!     }
//! }
//! ```

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::io::{AsyncWrite, AsyncWriteExt};

/// Buffers of one length, for reads that take them only when there is something to read.
///
/// A clone is the same pool, for any thread. Buffers that come back are kept for the next read, up
/// to a [limit](Self::keep); others are freed. There is no limit to those that are in use: each
/// belongs to data that has been read, and is not dropped yet.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    len: usize,
    keep: usize,
    kept: Mutex<Vec<Box<[u8]>>>,
}

impl Pool {
    /// A pool of buffers of `len` bytes, which is the most that one read returns. It keeps up to 64
    /// buffers that are not in use.
    ///
    /// # Panics
    ///
    /// If `len` is 0: nothing could be read.
    #[track_caller]
    pub fn new(len: usize) -> Self {
        Self::keep(len, 64)
    }

    /// The same, with another limit to the buffers that are kept while they are not in use.
    ///
    /// # Panics
    ///
    /// If `len` is 0: nothing could be read.
    #[track_caller]
    pub fn keep(len: usize, keep: usize) -> Self {
        assert!(len > 0, "a pool's buffers must have room for a byte");
        Self(Arc::new(Shared { len, keep, kept: Mutex::default() }))
    }

    /// How many buffers it keeps now that are not in use.
    pub fn kept(&self) -> usize {
        self.0.kept().len()
    }

    fn take(&self) -> Chunk {
        let kept = self.0.kept().pop();
        let buf = kept.unwrap_or_else(|| vec![0; self.0.len].into_boxed_slice());
        Chunk { buf, len: 0, pool: Arc::clone(&self.0) }
    }

    /// A chunk that `read` fills. If it fails, the buffer is back at once.
    pub(super) fn fill(&self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Chunk> {
        let mut chunk = self.take();
        chunk.len = read(&mut chunk.buf)?;
        Ok(chunk)
    }

    /// The length of its buffers.
    pub(super) fn buffer_len(&self) -> usize {
        self.0.len
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("len", &self.0.len)
            .field("keep", &self.0.keep)
            .field("kept", &self.kept())
            .finish()
    }
}

/// What a read has found, in a buffer that goes back to its pool when this is dropped.
pub struct Chunk {
    /// Empty only while dropped.
    buf: Box<[u8]>,
    len: usize,
    pool: Arc<Shared>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buf[..self.len]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chunk").field(&&**self).finish()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buf = std::mem::take(&mut self.buf);
        let mut kept = self.pool.kept();
        if kept.len() < self.pool.keep {
            kept.push(buf);
        }
    }
}

/// Reading into the buffers of a pool: streams, the halves that read, and the receivers of pipes.
pub trait PooledRead {
    /// [`read_pooled`](Self::read_pooled) for hand-written futures. Only the task of the latest
    /// call is woken, of this and of every other `poll_` function that reads.
    ///
    /// # Errors
    ///
    /// As for `read_pooled`.
    fn poll_read_pooled(&self, cx: &mut Context<'_>, pool: &Pool) -> Poll<io::Result<Chunk>>;

    /// Reads what there is, at most a buffer of the pool; waits for something without one. An empty
    /// chunk is the end of the stream. If several tasks read a stream at the same time in this way,
    /// only the latest is woken.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, or of `read(2)` for a pipe.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, no data is lost.
    fn read_pooled(&self, pool: &Pool) -> impl Future<Output = io::Result<Chunk>> + Send
    where
        Self: Sync,
    {
        poll_fn(|cx| self.poll_read_pooled(cx, pool))
    }
}

/// Copies everything that comes from `reader` to `writer`, and flushes that at the end of the
/// stream. Returns the number of bytes. While it waits for something to read, it has no buffer.
///
/// # Errors
///
/// The first that a read, a write or the flush meets. What was read before may not have been
/// written.
///
/// # Cancel safety
///
/// None: what has been read and not been written yet is lost.
pub async fn copy<R, W>(reader: &R, writer: &mut W, pool: &Pool) -> io::Result<u64>
where
    R: PooledRead + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut copied = 0;
    loop {
        let chunk = poll_fn(|cx| reader.poll_read_pooled(cx, pool)).await?;
        if chunk.is_empty() {
            writer.flush().await?;
            return Ok(copied);
        }
        writer.write_all(&chunk).await?;
        copied += chunk.len() as u64;
    }
}
