//! Sockets.
//!
//! ```text
//!   TcpListener   TcpStream ── halves (split)
//!        │            │
//!        │         Stream: reads, writes and closes, once for all kinds of stream
//!        └────┬───────┘
//!            Io (the reactor's registration)
//! ```
//!
//! Every call is tried first and waited for on `EAGAIN`. Streams implement
//! [`futures::io::AsyncRead`] and [`futures::io::AsyncWrite`], also by shared reference, so that
//! one task may read while another writes.

mod addr;
mod block;
pub mod tcp;

pub use addr::ToSocketAddrs;
pub use tcp::{TcpListener, TcpStream};
