//! Sockets: TCP ([`TcpListener`], [`TcpStream`], [`TcpSocket`]), UDP ([`UdpSocket`], and [`udp`]
//! for many datagrams at once) and Unix ([`UnixListener`], [`UnixStream`], [`UnixDatagram`],
//! [`UnixSocket`]); and pipes ([`unix::pipe`]).
//!
//! Names and meanings are those of `tokio::net`. Streams, their halves and the ends of pipes
//! implement [`futures::io::AsyncRead`] and [`futures::io::AsyncWrite`]; the extension traits are
//! in [`io`](crate::io). With feature `tokio-io` they implement tokio's traits too, and with
//! feature `hyper` hyper's.
//!
//! - Every operation is tried first. Only if it would block does its task wait.
//! - Futures cancel by being dropped. A read that is dropped before it is ready has taken no data,
//!   an accept no connection. What the kernel waits for on their behalf is cancelled a few turns
//!   later, unless somebody waits again. (Reads and writes by the traits give no notice when they
//!   are dropped: their wait ends with the next event, or with the socket.)
//! - Dropping a socket closes it, and the peer sees that at once.
//! - The traits of `futures` are implemented for shared references too, so that one task may read
//!   while another writes. If several tasks read (or write) by the traits at the same time, only
//!   the latest is woken; `readable` and `writable` wake all.
//! - Writing to a peer that has gone is an error (`BrokenPipe`) and never a signal.
//! - A connection that waits need not own a buffer: see [`pool`].
//!
//! # Datagrams
//!
//! A [`UdpSocket`] or a [`UnixDatagram`] moves whole datagrams, by methods of its own instead of
//! the traits. A short one says nothing about the next, and one of 0 bytes is a datagram and not an
//! end.
//!
//! - Several tasks may share one, each with a reference: all that wait are woken, and each datagram
//!   goes to one of them.
//! - A receive that is dropped before it is ready has taken no datagram. A longer datagram than the
//!   buffer loses its rest.
//! - An error that another host has sent back (`ConnectionRefused`) fails one operation of a
//!   connected UDP socket. Then it goes on.
//! - When it waits, it does so as a listener does, in an epoll that the context polls, so that its
//!   address is free when it has been dropped. That costs a few system calls more than a stream's
//!   wait. While datagrams keep coming, nothing waits.
//!
//! # Other threads
//!
//! Sockets, and the futures that use them, are `Send` and `Sync`, so that libraries which ask for
//! that take them. A socket belongs to the runtime that made it. On that runtime's thread nothing
//! is locked; elsewhere this is what happens:
//!
//! | where | attempts | waits | drop |
//! |---|---|---|---|
//! | on another thread | at once, as `try_read` | sent to the socket's runtime, whose loop wakes the task; they end when it runs | the descriptor is closed by the runtime's thread: in the next turn of its loop, or when the runtime is dropped |
//! | on its thread, in no runtime | at once | end in the next `block_on` | closes it |
//! | on its thread, in another runtime | at once | fail with an error that names the runtime: its loop cannot run meanwhile | closes it |
//! | after its runtime was dropped | fail, but for `try_read` and its like | fail | closes it |
//!
//! A connection belongs to its listener's runtime. Accepted on another thread, it belongs to the
//! runtime that this thread is in; where there is none, `accept` fails and takes no connection.
//! `into_std` on another thread returns a duplicate of the descriptor, and the original is closed
//! by the runtime's thread.
//!
//! # Examples
//!
//! A server that returns what it is sent:
//!
//! ```no_run
//! use aio_runtime::net::TcpListener;
//!
//! #[aio_runtime::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         stream.set_nodelay(true)?;
//!         aio_runtime::spawn(async move {
//!             let (reader, mut writer) = stream.into_split();
//!             aio_runtime::io::copy(reader, &mut writer).await
//!         });
//!     }
//! }
//! ```

// How it is built
//
//   TcpStream  ...         TcpListener  ...          UdpSocket  ...       newtypes: what differs
//       │ stream_surface!      │ listener_surface!       │ datagram_surface!
//   Stream<Tcp>  ...       Listener<Tcp>  ...        Datagram<Udp>  ...   block: what is shared
//       └───────────┬──────────┴─────────────────────────┘
//                   Io                                                    reactor
//
// `TcpSocket` and `UnixSocket` are bare descriptors, registered when they become one of these.
//
// The ends of a pipe, `Receiver` and `Sender`, are newtypes of `Stream<PipeRead>` and
// `Stream<PipeWrite>`, with one direction each.
//
// A kind (`Tcp`, `Unix`, `Udp`) says how bytes and addresses go in and out of a descriptor;
// `block::kind` has the laws. The block is generic over it and does the rest, and `block::surface`
// shows it.
//
// Why newtypes and not `pub type TcpStream = Stream<Tcp>`: rustdoc lists under an alias only what
// is written for exactly that alias, so neither the shared methods nor the traits would be found
// under `TcpStream`; and the compiler would speak of `Stream<K>` to somebody who never wrote that.
// The price is that `methods` and `surface` repeat the signatures of the block, once for all kinds.

mod addr;
mod block;
pub mod pool;
pub mod tcp;
pub mod udp;
pub mod unix;

pub use addr::{ToSocketAddrs, lookup_host};
#[doc(inline)]
pub use tcp::{TcpListener, TcpSocket, TcpStream};
#[doc(inline)]
pub use udp::UdpSocket;
#[doc(inline)]
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
