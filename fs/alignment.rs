//! What `O_DIRECT` requires of buffers, offsets and lengths.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, statx};
use rustix::io::Errno;

use super::Buf;
use crate::reactor::explain;

/// What a file that was opened with `O_DIRECT` requires; see [`File::alignment`].
///
/// # Examples
///
/// ```
/// use aio_runtime::fs::{Buf, OpenOptions};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("blocks");
/// # std::fs::write(&path, [7; 8192])?;
/// let file = OpenOptions::new().read(true).direct(true).open(path).await?;
/// let alignment = file.alignment().expect("it was opened with O_DIRECT");
/// // Both are powers of two: what is a multiple of 4096 bytes suits almost every device.
/// let len = alignment.offset.max(4096);
/// let (result, block) = file.read_exact_at(Buf::aligned(len, alignment.memory), 0).await;
/// result?;
/// assert!(block.iter().all(|byte| *byte == 7));
/// # Ok(())
/// # }
/// ```
///
/// [`File::alignment`]: super::File::alignment
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The address of a buffer must be a multiple of this number of bytes.
    pub memory: usize,
    /// The offset of a transfer, and its length, must be multiples of this number of bytes.
    pub offset: usize,
}

/// What we know of a file that was opened with `O_DIRECT`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    pub(super) alignment: Alignment,
    /// The file system said so (`STATX_DIOALIGN`, Linux 6.1). Otherwise it is a guess that is safe
    /// everywhere.
    reported: bool,
}

impl Direct {
    /// For a file whose file system does not say.
    pub(super) const UNKNOWN: Self = Self { alignment: Alignment { memory: 4096, offset: 4096 }, reported: false };

    /// Asks the file system; `None` if the file was opened without `O_DIRECT`. Fails with `EINVAL`
    /// if it was opened with it but has no direct I/O.
    pub(super) fn of(file: &fs::File) -> io::Result<Option<Self>> {
        if !fcntl_getfl(file)?.contains(OFlags::DIRECT) {
            return Ok(None);
        }
        let (memory, offset) = match statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
            Ok(stat) if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::DIOALIGN) => {
                (stat.stx_dio_mem_align as usize, stat.stx_dio_offset_align as usize)
            }
            _ => return Ok(Some(Self::UNKNOWN)),
        };
        if memory == 0 || offset == 0 {
            return Err(Errno::INVAL.into());
        }
        Ok(Some(Self { alignment: Alignment { memory, offset }, reported: true }))
    }

    /// Fails with what is misaligned, if the file system has said what it requires. An empty buffer
    /// may be anywhere.
    pub(super) fn check(&self, call: &str, buf: &Buf, offset: u64) -> io::Result<()> {
        if !self.reported {
            return Ok(());
        }
        let Alignment { memory, offset: block } = self.alignment;
        let address = buf.as_ptr().addr();
        let wrong = if !buf.is_empty() && !address.is_multiple_of(memory) {
            format!("the buffer's address {address:#x} is not a multiple of {memory}")
        } else if !offset.is_multiple_of(block as u64) {
            format!("the offset {offset} is not a multiple of {block}")
        } else if !buf.len().is_multiple_of(block) {
            format!("the length {} is not a multiple of {block}", buf.len())
        } else {
            return Ok(());
        };
        Err(explain(
            Errno::INVAL,
            format!("{call} on an O_DIRECT file: {wrong} (see File::alignment and Buf::aligned)"),
        ))
    }

    /// Explains an `EINVAL` of the kernel that `check` could not foresee.
    pub(super) fn explain(&self, call: &str, buf: &Buf, offset: u64, error: io::Error) -> io::Error {
        if self.reported || error.raw_os_error() != Some(libc::EINVAL) {
            return error;
        }
        let text = format!(
            "{call} on an O_DIRECT file: the kernel refuses {} bytes at {:p} for offset {offset}; 4096 is a safe \
             alignment of all three",
            buf.len(),
            buf.as_ptr(),
        );
        explain(error, text)
    }

    /// Whether a transfer of this length ended in the middle of a block.
    pub(super) fn is_tail(&self, moved: usize) -> bool {
        const SMALLEST_BLOCK: usize = 512;
        let block = if self.reported { self.alignment.offset } else { SMALLEST_BLOCK };
        !moved.is_multiple_of(block)
    }
}

/// Explains an `EINVAL` of an `open` with `O_DIRECT`.
pub(super) fn explain_refusal(error: io::Error, path: &Path) -> io::Error {
    if error.raw_os_error() != Some(libc::EINVAL) {
        return error;
    }
    let path = path.display();
    explain(
        error,
        format!("open({path}) with O_DIRECT: its file system has no direct I/O for it; open it with direct(false)"),
    )
}
