//! What `O_DIRECT` requires of buffers, offsets and lengths.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, statx};
use rustix::io::Errno;

use super::Buf;
use super::transfer::Transfer;
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
    /// The same for reads, which on some file systems may be finer than writes (where XFS shares
    /// blocks between files). Otherwise, and before Linux 6.14, this is the same as `offset`.
    pub read_offset: usize,
}

impl Alignment {
    fn offset_of(&self, transfer: Transfer) -> usize {
        match transfer {
            Transfer::Read => self.read_offset,
            Transfer::Write => self.offset,
        }
    }
}

/// `STATX_DIO_READ_ALIGN` (Linux 6.14), which rustix does not name.
const DIO_READ_ALIGN: StatxFlags = StatxFlags::from_bits_retain(0x2_0000);

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
    pub(super) const UNKNOWN: Self =
        Self { alignment: Alignment { memory: 4096, offset: 4096, read_offset: 4096 }, reported: false };

    /// Asks the file system; `None` if the file was opened without `O_DIRECT`. Fails with `EINVAL`
    /// if it was opened with it but has no direct I/O.
    pub(super) fn of(file: &fs::File) -> io::Result<Option<Self>> {
        if !fcntl_getfl(file)?.contains(OFlags::DIRECT) {
            return Ok(None);
        }
        let stat = match statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN | DIO_READ_ALIGN) {
            Ok(stat) if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::DIOALIGN) => stat,
            _ => return Ok(Some(Self::UNKNOWN)),
        };
        let alignment = Alignment {
            memory: stat.stx_dio_mem_align as usize,
            offset: stat.stx_dio_offset_align as usize,
            // 0 if the kernel does not know it, and where it is the same.
            read_offset: match stat.stx_dio_read_offset_align {
                0 => stat.stx_dio_offset_align as usize,
                finer => finer as usize,
            },
        };
        if alignment.memory == 0 || alignment.offset == 0 {
            return Err(Errno::INVAL.into());
        }
        Ok(Some(Self { alignment, reported: true }))
    }

    /// Fails with what is misaligned, if the file system has said what it requires. An empty buffer
    /// may be anywhere.
    pub(super) fn check(&self, transfer: Transfer, buf: &Buf, offset: u64) -> io::Result<()> {
        if !self.reported {
            return Ok(());
        }
        let (memory, block) = (self.alignment.memory, self.alignment.offset_of(transfer));
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
            format!("{} on an O_DIRECT file: {wrong} (see File::alignment and Buf::aligned)", transfer.call()),
        ))
    }

    /// Explains an `EINVAL` of the kernel that `check` could not foresee.
    pub(super) fn explain(&self, transfer: Transfer, buf: &Buf, offset: u64, error: io::Error) -> io::Error {
        if self.reported || error.raw_os_error() != Some(libc::EINVAL) {
            return error;
        }
        let text = format!(
            "{} on an O_DIRECT file: the kernel refuses {} bytes at {:p} for offset {offset}; 4096 is a safe \
             alignment of all three",
            transfer.call(),
            buf.len(),
            buf.as_ptr(),
        );
        explain(error, text)
    }

    /// Whether a transfer of this length ended in the middle of a block.
    pub(super) fn is_tail(&self, transfer: Transfer, moved: usize) -> bool {
        const SMALLEST_BLOCK: usize = 512;
        let block = if self.reported { self.alignment.offset_of(transfer) } else { SMALLEST_BLOCK };
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn reads_may_be_finer_than_writes() {
        let direct = Direct { alignment: Alignment { memory: 512, offset: 4096, read_offset: 512 }, reported: true };
        let buf = || Buf::aligned(1536, 4096);
        direct.check(Transfer::Read, &buf(), 512).unwrap();
        let text = direct.check(Transfer::Write, &buf(), 4096).unwrap_err().to_string();
        assert!(text.contains("the length 1536 is not a multiple of 4096"), "{text}");
        direct.check(Transfer::Read, &buf(), 100).unwrap_err();
        assert!(!direct.is_tail(Transfer::Read, 512), "the rest can be asked for");
        assert!(direct.is_tail(Transfer::Write, 512));
        assert!(direct.is_tail(Transfer::Read, 100));
    }

    #[test]
    fn the_alignment_of_reads_is_known_wherever_that_of_writes_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut options = fs::OpenOptions::new();
        let Ok(file) = options.read(true).custom_flags(libc::O_DIRECT).open(file.path()) else { return };
        let alignment = Direct::of(&file).unwrap().unwrap().alignment;
        assert!(alignment.read_offset.is_power_of_two() && alignment.read_offset <= alignment.offset, "{alignment:?}");
    }
}
