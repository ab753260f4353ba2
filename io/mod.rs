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

mod buf_stream;
mod copy_bidirectional;
mod duplex;
mod forward;
mod join;
mod stdio;
pub mod unix;

pub use buf_stream::BufStream;
pub use copy_bidirectional::{copy_bidirectional, copy_bidirectional_with_sizes};
pub use duplex::{DuplexStream, duplex};
pub use futures::io::*;
pub use join::{Join, join, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

pub use crate::reactor::{Interest, Ready};
