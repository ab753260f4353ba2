//! Reading or writing.

/// What moves the bytes of a buffer from or to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Read,
    Write,
}

impl Transfer {
    /// Its name in error texts.
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Read => "read_at",
            Self::Write => "write_at",
        }
    }
}
