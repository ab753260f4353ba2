//! Reading and writing: the traits, and what is built on them.
//!
//! Sockets and pipes are in [`net`](crate::net), files in [`fs`](crate::fs). Names and meanings are
//! those of `tokio::io`, where the traits leave room for that: they are those of the [`futures`]
//! crate, whose `poll_read` fills a `&mut [u8]`, and whose `close` is tokio's `shutdown`.
//!
//! | | | from |
//! |---|---|---|
//! | [`AsyncRead`], [`AsyncWrite`], [`AsyncBufRead`], [`AsyncSeek`] | the traits | `futures` |
//! | [`AsyncReadExt`], [`AsyncWriteExt`], [`AsyncBufReadExt`], [`AsyncSeekExt`] | their methods to be awaited: `read`, `read_exact`, `read_to_end`, `write_all`, `flush`, `close`, `read_line`, `lines`, `take`, `chain` ... | `futures` |
//! | [`copy`], [`copy_buf`] | copy to the end of a stream | `futures` |
//! | [`copy_bidirectional`], [`copy_bidirectional_with_sizes`] | both ways, with the end of each passed on | here |
//! | [`split`], [`join`] | one stream as a reader and a writer, and the reverse | `futures`, here |
//! | [`BufReader`], [`BufWriter`], [`LineWriter`] | buffers | `futures` |
//! | [`BufStream`] | a buffer for each direction | here |
//! | [`duplex`] | a pair of streams in memory | here |
//! | [`empty`], [`repeat`], [`sink`], [`Cursor`] | streams for tests and ends | `futures` |
//! | [`stdin`], [`stdout`], [`stderr`] | the standard streams, on threads | here |
//! | [`Interest`], [`Ready`] | what one can wait for, and what has come | here |
//! | [`unix::AsyncFd`] | any descriptor | here |
//! | [`Error`], [`ErrorKind`], [`Result`], [`IoSlice`], [`IoSliceMut`], [`SeekFrom`] | | `std` |

// Under the name of tokio, the traits are tokio's, and so is what is built on them.
#[cfg(not(feature = "facade"))]
mod on_futures;
pub mod unix;

#[cfg(not(feature = "facade"))]
pub use on_futures::*;
#[cfg(feature = "facade")]
pub use real_tokio::io::*;

pub use crate::reactor::{Interest, Ready};
