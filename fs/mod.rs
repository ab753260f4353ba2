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
//! What a file system answered (`EOPNOTSUPP`) is remembered per file. Operations take a [`Buf`] and give it
//! back with the result, on an error too.
//!
//! # Cancel safety
//!
//! A read or write that is dropped after the kernel has it takes place all the same; its buffer is kept until
//! it has. A dropped write may thus have happened or not.

mod file;
mod open_options;

pub use crate::reactor::Buf;
pub use file::{Alignment, File};
pub use open_options::OpenOptions;
