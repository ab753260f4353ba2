//! Why a task may have no output.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Why a task has no output: it was cancelled, or it panicked.
///
/// Converts into an [`io::Error`] of kind `Other`, as tokio's does.
///
/// # Examples
///
/// ```
/// # #[aio_runtime::main]
/// # async fn main() {
/// let error = aio_runtime::spawn(async { panic!("out of cheese") }).await.unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "out of cheese");
/// # }
/// ```
pub struct JoinError {
    reason: Reason,
}

enum Reason {
    Cancelled,
    /// The mutex is there only to make the error `Sync`. Boxed, since every task has room for one.
    Panic(Box<Mutex<Box<dyn Any + Send>>>),
}

impl JoinError {
    pub(super) fn cancelled() -> Self {
        Self { reason: Reason::Cancelled }
    }

    pub(super) fn panic(payload: Box<dyn Any + Send>) -> Self {
        Self { reason: Reason::Panic(Box::new(Mutex::new(payload))) }
    }

    /// Whether the task was cancelled: aborted, or dropped with its runtime.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.reason, Reason::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.reason, Reason::Panic(_))
    }

    /// The payload of the panic, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic but was cancelled.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(_) => panic!("JoinError::into_panic: the task did not panic, it was cancelled"),
        }
    }

    /// The payload of the panic.
    ///
    /// # Errors
    ///
    /// Returns `self` if the task did not panic but was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.reason {
            Reason::Panic(payload) => Ok((*payload).into_inner().unwrap_or_else(PoisonError::into_inner)),
            Reason::Cancelled => Err(self),
        }
    }

    /// The message of the panic, if its payload is text.
    fn message(&self) -> Option<String> {
        let Reason::Panic(payload) = &self.reason else {
            return None;
        };
        let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
        let text = payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.message()) {
            (Reason::Cancelled, _) => f.write_str("task was cancelled"),
            (Reason::Panic(_), Some(message)) => {
                write!(f, "task panicked with message {message:?}")
            }
            (Reason::Panic(_), None) => f.write_str("task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.message()) {
            (Reason::Cancelled, _) => f.write_str("JoinError::Cancelled"),
            (Reason::Panic(_), Some(message)) => write!(f, "JoinError::Panic({message:?})"),
            (Reason::Panic(_), None) => f.write_str("JoinError::Panic(..)"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        io::Error::other(error)
    }
}
