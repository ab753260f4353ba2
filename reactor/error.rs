//! Errors that say what to do: the kernel's errno with the call, the value and the knob before it.

use std::error::Error;
use std::fmt;
use std::io;

/// An errno with its circumstances; [`Error::source`] is the bare error of the kernel.
#[derive(Debug)]
struct Explained {
    text: String,
    cause: io::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.cause)
    }
}

impl Error for Explained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Puts `text` before `cause`. The kind stays; the errno is in `source()`.
pub(crate) fn explain(cause: impl Into<io::Error>, text: impl Into<String>) -> io::Error {
    let cause = cause.into();
    explain_as(cause.kind(), cause, text)
}

/// The same, where the errno's kind would mislead.
pub(crate) fn explain_as(kind: io::ErrorKind, cause: io::Error, text: impl Into<String>) -> io::Error {
    io::Error::new(kind, Explained { text: text.into(), cause })
}

/// The runtime has ended, or is another process's.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the aio-runtime this was registered with has been dropped, or belongs to the process before the fork",
        )
    }
}

impl Error for Gone {}

/// The error of anything that was registered with a reactor that has gone.
pub(crate) fn gone() -> io::Error {
    io::Error::other(Gone)
}

/// Whether an error is that of [`gone`].
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Gone>())
}
