//! Any descriptor that can be waited for: [`AsyncFd`].

mod async_fd;
mod error;
mod guard;
mod ready;

pub use async_fd::AsyncFd;
#[expect(deprecated, reason = "tokio has the name still")]
pub use error::AsyncFdTryNewError;
pub use error::{AsyncFdRegisterError, TryIoError};
pub use guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
