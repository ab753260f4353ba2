//! A tokio-like, thread-per-core async runtime for Linux.
#![warn(missing_docs)]

#[cfg(not(target_os = "linux"))]
compile_error!("aio-runtime is built on Linux native AIO (io_submit, IOCB_CMD_POLL): it runs on Linux only");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("aio-runtime knows the system call numbers and structures of x86-64, aarch64 and riscv64 only");

pub mod fs;
pub mod net;
mod reactor;
pub mod runtime;

pub use aio_runtime_macros::{main, test};
pub use runtime::task::spawn;
pub use runtime::{Builder, Handle, Metrics, Runtime, task, time};

/// The traits of asynchronous reading and writing, and what is built on them: the `futures` crate's.
pub mod io {
    pub use futures::io::*;
}
