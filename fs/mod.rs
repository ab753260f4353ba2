//! Files, read and written at offsets.
//!
//! How a file operation runs depends on what the kernel can do without blocking in `io_submit`:
//!
//! | operation | runs |
//! |---|---|
//! | direct read; direct write inside the file's known size | on the runtime's AIO context, asynchronous in the kernel |
//! | buffered read | on the context with `RWF_NOWAIT`: a page-cache hit completes at once; a miss goes to the blocking pool |
//! | buffered write | on the context with `RWF_NOWAIT` where the file system can do that, else on the blocking pool |
//! | direct write that extends the file | on the blocking pool, since `io_submit` would wait for the device |
//! | `sync_all`, `sync_data` | on the context, which uses a kernel worker |
//! | open, metadata, set_len | on the blocking pool |
//!
//! What a file system answered (`EOPNOTSUPP`) is remembered per file. Operations take a [`Buf`] and
//! give it back with the result, on an error too; it is lost only when the runtime was dropped
//! under the operation, and an empty one comes instead.
//!
//! # Errors
//!
//! The kernel's errors are as std has them. Where there is more to say than an errno (a misaligned
//! direct read, an offset past the end of all files, no `O_DIRECT` on this file system) the error
//! is an explained one: its kind is the errno's, its `raw_os_error` is `None`, and its source is
//! the kernel's error.
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
//! # Cancel safety
//!
//! A read or write that is dropped after the kernel has it takes place all the same; its buffer is
//! kept until it has. A dropped write may thus have happened or not.

mod alignment;
mod file;
mod into_buf;
mod known_len;
mod open_options;
mod route;
mod whole;

pub use crate::reactor::Buf;
pub use alignment::Alignment;
pub use file::File;
pub use into_buf::IntoBuf;
pub use open_options::OpenOptions;
