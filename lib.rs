//! An async runtime for Linux programs that use disk and network at the same time, where io_uring
//! is not available.
//!
//! It has tokio's names and semantics, and one thread per runtime. Its only event source is a
//! native-AIO context. One `io_submit` takes everything that a turn of the loop has gathered: polls
//! of sockets (`IOCB_CMD_POLL`), reads and writes of files. Completions are taken from a ring in
//! user space, and the loop sleeps in `io_getevents`. You cancel a future by dropping it.
//!
//! The default seccomp profiles of container runtimes block io_uring and allow native AIO. The
//! usual alternative there is epoll with a thread pool for files. Under load that takes several
//! times the CPU time per direct read.
//!
//! # Example
//!
//! Disk and network on one loop. [`main`](macro@main) and [`test`](macro@test) build the runtime;
//! [`Builder`] does it by hand.
//!
//! ```
//! use aio_runtime::fs::{Buf, OpenOptions};
//! use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use aio_runtime::net::{TcpListener, TcpStream};
//!
//! #[aio_runtime::main]
//! async fn main() -> std::io::Result<()> {
//! #   let dir = tempfile::tempdir()?;
//! #   let path = dir.path().join("blocks");
//! #   std::fs::write(&path, [7; 8192])?;
//!     let file = OpenOptions::new().read(true).direct(true).open(path).await?;
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!
//!     let server = aio_runtime::spawn(async move {
//!         let (mut client, _) = listener.accept().await?;
//!         let (read, block) = file.read_exact_at(Buf::aligned(4096, 4096), 0).await;
//!         read?;
//!         client.write_all(&block).await
//!     });
//!
//!     let mut block = Vec::new();
//!     TcpStream::connect(addr).await?.read_to_end(&mut block).await?;
//!     assert_eq!(block, [7; 4096]);
//!     server.await?
//! }
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | [`spawn`], [`task`] | tasks, which need not be `Send`; [`task::spawn_blocking`] for code that blocks |
//! | [`time`] | sleeps and time limits, with nanosecond deadlines |
//! | [`net`] | TCP, UDP and Unix sockets, pipes |
//! | [`fs`] | files, and [which of their operations need no thread](fs#how-an-operation-runs) |
//! | [`io`] | the traits for reading and writing, copying, streams in memory, the standard streams |
//! | [`per_core`] | a runtime on each core, in one call |
//! | [`runtime`] | [`Runtime`], its [`Builder`], its [`Handle`] for other threads, its [`Metrics`] |
//!
//! # Features
//!
//! None is on by default. They add to what there is, and change nothing.
//!
//! | | |
//! |---|---|
//! | `tokio-io` | Streams, their halves and the ends of pipes implement tokio's `AsyncRead` and `AsyncWrite` too, so that tokio-rustls, tokio-tungstenite, `tokio_util::codec` and `tokio::io` take them as they are. Datagram sockets and peeking get the methods that take tokio's `ReadBuf`. It needs tokio without any of its features: not its runtime. The standard streams and what [`io`] adds in memory (`DuplexStream`, `BufStream`, `Join`) have the traits of `futures` only: use those, or `tokio_util::compat`; `tokio::io::stdout` would want tokio's runtime. |
//! | `hyper` | The same types implement [`hyper::rt::Read`](https://docs.rs/hyper/1/hyper/rt/trait.Read.html) and `Write`, and module `hyper` has an executor and a timer for hyper, so that it serves and connects without an adapter. |
//!
//! If you know tokio, switch on `tokio-io`, and use the traits and functions of `tokio::io`
//! (tokio's feature `io-util`) in place of those of [`io`]. Then `shutdown` and `split` mean what
//! you expect, and `read_buf`, `read_u32`, `copy_bidirectional`, `lines` and the others are there.
//! Import the extension traits of one of the two: with both in scope, `read` could be either's.
//!
//! # Limits
//!
//! - Linux 5.16 or later (earlier kernels could lose a wake-up), except 6.8.0 to 6.8.4, which can
//!   crash; x86-64, aarch64, riscv64. Not gVisor, which cannot poll by AIO.
//! - One thread per runtime. For more cores there is [`per_core`].
//! - Only direct file I/O is asynchronous in the kernel. Operations that would block go to a thread
//!   pool. File I/O cannot be cancelled.
//! - `fs.aio-max-nr` counts for the whole host. It limits a runtime's speed, not the number of its
//!   connections; see [`Builder::capacity`].

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!("aio-runtime is built on Linux native AIO (io_submit, IOCB_CMD_POLL): it runs on Linux only");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("aio-runtime knows the system call numbers and structures of x86-64, aarch64 and riscv64 only");

#[cfg(feature = "facade")]
mod facade;
pub mod fs;
pub mod io;
pub mod net;
mod reactor;
pub mod runtime;

#[cfg(not(feature = "facade"))]
pub use aio_runtime_macros::{main, test};
#[cfg(feature = "facade")]
pub use facade::*;
#[cfg(feature = "hyper")]
#[doc(inline)]
pub use runtime::hyper;
#[doc(inline)]
pub use runtime::task::spawn;
#[cfg(not(feature = "facade"))]
#[doc(inline)]
pub use runtime::{Builder, Core, Handle, Metrics, PerCore, Runtime, per_core, task, time};

/// Makes the examples of the README tests.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
