//! The traits of the `futures` crate, and what we have built on them.

mod buf_stream;
mod copy_bidirectional;
mod duplex;
mod forward;
mod join;
mod stdio;

pub use buf_stream::BufStream;
pub use copy_bidirectional::{copy_bidirectional, copy_bidirectional_with_sizes};
pub use duplex::{DuplexStream, duplex};
pub use futures::io::*;
pub use join::{Join, join, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
