//! Files, read and written at offsets.
//!
//! A [`File`] is opened, and its operations are awaited. Each takes an owned buffer, a [`Buf`] or a
//! `Vec<u8>`, and gives it back beside the result:
//!
//! ```
//! use aio_runtime::fs::{Buf, File, OpenOptions};
//!
//! # #[aio_runtime::main]
//! # async fn main() -> std::io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("blocks");
//! let file = File::create(&path).await?;
//! let (result, buf) = file.write_all_at(vec![7; 8192], 0).await;
//! result?;
//! file.sync_all().await?;
//!
//! // Around the page cache: no thread waits for the device.
//! let file = OpenOptions::new().read(true).direct(true).open(&path).await?;
//! let (result, block) = file.read_exact_at(Buf::aligned(4096, 4096), 4096).await;
//! result?;
//! assert_eq!(block[..], buf[4096..]);
//! # Ok(())
//! # }
//! ```
//!
//! # Direct or buffered
//!
//! - *Direct* ([`OpenOptions::direct`]): the kernel reads and writes the device while the program
//!   goes on. It suits programs with a cache of their own, or without need of one. Buffers, offsets
//!   and lengths must be aligned ([`File::alignment`], [`Buf::aligned`]).
//! - *Buffered*: what is in the page cache is read at once. Everything else uses a thread of the
//!   blocking pool, as with tokio, except writes to a file system that can tell whether they would
//!   block.
//!
//! # Errors
//!
//! Kernel errors are returned as std returns them. Some need more words than an errno has (a
//! misaligned direct read, an offset past the largest one, a read into a buffer with capacity and
//! no length, no `O_DIRECT` on this file system). These are
//! *explained*: the kind is that of the errno, `raw_os_error` is `None`, and the source is the bare
//! error.
//!
//! ```
//! use std::error::Error;
//! use std::io;
//!
//! use aio_runtime::fs::{Buf, File};
//!
//! fn errno(error: &io::Error) -> Option<i32> {
//!     let explained = || error.source()?.downcast_ref::<io::Error>()?.raw_os_error();
//!     error.raw_os_error().or_else(explained)
//! }
//!
//! # #[aio_runtime::main]
//! # async fn main() -> io::Result<()> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("file");
//! let file = File::create(path).await?;
//! let (result, _) = file.read_at(Buf::zeroed(1), u64::MAX).await;
//! let error = result.unwrap_err();
//! assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
//! assert_eq!((error.raw_os_error(), errno(&error)), (None, Some(libc::EINVAL)));
//!
//! // Not open for reading: the bare errno says it all.
//! let (result, _) = file.read_at(Buf::zeroed(1), 0).await;
//! assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
//! # Ok(())
//! # }
//! ```
//!
//! What runs on the blocking pool fails with [`ResourceBusy`](std::io::ErrorKind::ResourceBusy),
//! explained, if the pool has no thread and the system refuses to start one; the source has the
//! errno. Where the pool has threads, it waits for one of them.
//!
//! An operation comes back with an error and an empty buffer if its runtime is dropped first: the
//! kernel may still be using the original buffer.
//!
//! # Other threads
//!
//! A [`File`] may be used on any thread and in any runtime, and in several at once. An operation
//! that has begun belongs to the runtime that it was first polled in, and has to be awaited there:
//! that runtime's loop takes its completion. Polled elsewhere, it may fail with an error that names
//! its runtime, and with an empty buffer; a read or write that the kernel has still takes place.
//! Operations on the blocking pool may be awaited anywhere.
//!
//! # Cancel safety
//!
//! The kernel does not cancel file I/O. A read or write that is dropped once the kernel has it
//! still takes place; its buffer is kept until then. A dropped write may thus have happened or not.
//!
//! # How an operation runs
//!
//! It depends on what the kernel can do without blocking in `io_submit`:
//!
//! | operation | runs |
//! |---|---|
//! | direct read | on the runtime's AIO context, asynchronous in the kernel, with `RWF_NOWAIT`; one that would block first is submitted again without it and waits in `io_submit`, and so do the next 127 |
//! | direct write to a block device | on the context |
//! | direct write inside the file's known length | on the context with `RWF_NOWAIT`; where it would block first (a hole, a file busy with an extending write, pages in the cache) on the blocking pool |
//! | direct write that extends the file | on the blocking pool, since `io_submit` would wait for the device |
//! | buffered read | on the context with `RWF_NOWAIT`: a page-cache hit completes at once; a miss goes to the blocking pool |
//! | buffered write | on the context with `RWF_NOWAIT` where the file system can do that, else (and with `O_SYNC` or `O_DSYNC`) on the blocking pool |
//! | buffered read or write of more than 256 KiB | on the blocking pool, since copying it would hold up the loop |
//! | `sync_all`, `sync_data` | on the context, which uses a kernel worker |
//! | open, metadata, set_len | on the blocking pool |
//!
//! While the host's quota of AIO requests leaves the runtime no context
//! ([`Builder::build`](crate::Builder::build)), everything runs on the blocking pool.
//!
//! Of smaller buffered transfers, one turn of the loop copies about 1 MiB; the rest waits for the
//! next turns. [`Metrics`](crate::Metrics) count what went to the pool and why.
//!
//! A file system that refuses `RWF_NOWAIT` (`EOPNOTSUPP`) is not asked again for this file.
//! Buffered transfers use the pool from then on, direct ones the context, where `io_submit` may
//! block. Direct reads that would have blocked wait there, too: while a write extends the same
//! file, and while pages of what they read are written back, if a buffered write or a mapping has
//! left them dirty. So do not mix direct reads with buffered writes of the same range.
//!
//! The known length is that at `open`, or the latest from `metadata` or `set_len`, and grows with
//! our own writes; writes beyond it, in what somebody else appended, use the pool until `metadata`
//! is called.

mod alignment;
mod file;
mod into_buf;
mod known_len;
mod nowait;
mod open_options;
mod route;
mod transfer;
mod whole;

pub use crate::reactor::Buf;
pub use alignment::Alignment;
pub use file::File;
pub use into_buf::IntoBuf;
pub use open_options::OpenOptions;
