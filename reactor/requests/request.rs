//! A file request, with all that the kernel may touch.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use crate::reactor::buf::Buf;

/// What is asked of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Read,
    Write,
    Sync { data_only: bool },
}

/// A read, write or sync with its buffer and its file. The requests own it from submission to
/// event. (The kernel takes a reference to the file itself, but only inside `io_submit`; until then
/// the descriptor's number must not pass to another file.)
#[derive(Debug)]
pub(crate) struct Request {
    pub(in crate::reactor) opcode: Opcode,
    pub(in crate::reactor) file: Arc<File>,
    pub(in crate::reactor) buf: Buf,
    pub(in crate::reactor) offset: i64,
    pub(in crate::reactor) nowait: bool,
    pub(in crate::reactor) inline: bool,
}

impl Request {
    fn new(opcode: Opcode, file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self { opcode, file: Arc::clone(file), buf, offset, nowait: false, inline: false }
    }

    /// Reads up to `buf.len()` bytes at `offset`.
    pub(crate) fn read(file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self::new(Opcode::Read, file, buf, offset)
    }

    /// Writes up to `buf.len()` bytes at `offset`.
    pub(crate) fn write(file: &Arc<File>, buf: Buf, offset: i64) -> Self {
        Self::new(Opcode::Write, file, buf, offset)
    }

    /// `fsync`, or `fdatasync` where `data_only`.
    pub(crate) fn sync(file: &Arc<File>, data_only: bool) -> Self {
        Self::new(Opcode::Sync { data_only }, file, Buf::default(), 0)
    }

    /// With `RWF_NOWAIT`: `EAGAIN` where `io_submit` would block.
    pub(crate) fn nowait(mut self) -> Self {
        self.nowait = true;
        self
    }

    /// Not asynchronous in the kernel: what it transfers is copied inside `io_submit`.
    pub(crate) fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// Whether threads of the kernel take part in it (`s_dio_done_wq`, the work item of an
    /// `IOCB_CMD_FSYNC`): a write, a sync.
    pub(in crate::reactor) fn needs_kernel_threads(&self) -> bool {
        self.opcode != Opcode::Read
    }

    /// How many bytes `io_submit` may copy.
    pub(in crate::reactor) fn copies(&self) -> usize {
        if self.inline { self.buf.len() } else { 0 }
    }

    /// The buffer, of a request that is not to be made after all.
    pub(crate) fn into_buf(self) -> Buf {
        self.buf
    }
}

/// An event's `res` as a number of bytes or an error.
pub(crate) fn bytes(result: i64) -> io::Result<usize> {
    match usize::try_from(result) {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(Errno::from_raw_os_error(-result as i32).into()),
    }
}
