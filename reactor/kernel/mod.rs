//! What the kernel offers, and all that the reactor does with it: the system calls of native AIO, the
//! mapped ring, the nested epoll.

pub(super) mod abi;
pub(super) mod batch;
pub(super) mod context_pool;
#[cfg(test)]
pub(super) mod fault;
pub(super) mod kioctx;
pub(super) mod overflow;
mod process;
mod ring;
