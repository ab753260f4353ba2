//! An open file.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use super::route::RoutedFile;
use super::{Alignment, Buf, IntoBuf, whole};
use crate::runtime::context::InRuntime;

/// An open file, read and written at offsets. It has no position; any number of operations may be
/// under way.
///
/// It belongs to no runtime: each operation runs in the one that it is awaited in. See the
/// [module](super) for how.
///
/// # Examples
///
/// ```
/// use aio_runtime::fs::{Buf, File};
///
/// # #[aio_runtime::main]
/// # async fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("greeting");
/// let file = File::create(&path).await?;
/// file.write_all_at(b"hello world".to_vec(), 0).await.0?;
/// file.sync_all().await?;
///
/// let file = File::open(&path).await?;
/// let (result, buf) = file.read_exact_at(Buf::zeroed(5), 6).await;
/// result?;
/// assert_eq!(&buf[..], b"world");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct File {
    routed: RoutedFile,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn open<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<Self>> + use<P> {
        Self::open_with(fs::OpenOptions::new().read(true), 0, path)
    }

    /// Opens a file for writing, created or cut to nothing.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn create<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<Self>> + use<P> {
        Self::open_with(fs::OpenOptions::new().write(true).create(true).truncate(true), 0, path)
    }

    /// Opens a file with std's options and further `O_` flags.
    pub(super) fn open_with<P: AsRef<Path>>(
        options: &fs::OpenOptions,
        flags: i32,
        path: P,
    ) -> impl Future<Output = io::Result<Self>> + use<P> {
        let opening = RoutedFile::open(options, flags, path.as_ref());
        InRuntime::new(async { Ok(Self { routed: opening.await? }) })
    }

    /// Takes over a file of std's, with the flags that it was opened with. Needs no runtime.
    pub fn from_std(file: fs::File) -> Self {
        Self { routed: RoutedFile::from_std(file) }
    }

    /// Gives the file back to std.
    ///
    /// # Errors
    ///
    /// The file itself, while an operation that was dropped is still under way.
    pub fn try_into_std(self) -> Result<fs::File, Self> {
        self.routed.try_into_std().map_err(|routed| Self { routed })
    }

    /// A second descriptor of the same open file.
    ///
    /// # Errors
    ///
    /// `EMFILE` if there is none left.
    pub async fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::from_std(self.routed.file.try_clone()?))
    }

    /// What `O_DIRECT` asks of buffers, offsets and lengths; `None` if the file was opened without
    /// it. Where the kernel does not say (before Linux 6.1, tmpfs), 4096 for both.
    pub fn alignment(&self) -> Option<Alignment> {
        self.routed.direct.map(|direct| direct.alignment)
    }

    /// Reads up to `buf.len()` bytes at `offset`. Fewer may come: at the end of the file, or where
    /// only a part was in the page cache; 0 is the end.
    ///
    /// # Errors
    ///
    /// `EISDIR`; `EBADF` if not open for reading; `EIO`. `EINVAL`, explained with the numbers, for
    /// an offset past `i64::MAX` or what `O_DIRECT` finds misaligned: its kind is `InvalidInput`,
    /// its [errno that of its source](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves its buffer to the kernel until the read is over.
    ///
    /// # References
    ///
    /// `pread(2)`, `io_submit(2)`.
    pub fn read_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.routed.read(buf.into(), offset))
    }

    /// Writes up to `buf.len()` bytes at `offset`, and says how many.
    ///
    /// # Errors
    ///
    /// `EBADF` if not open for writing; `ENOSPC`, `EDQUOT`, `EFBIG`, `EIO`. `EINVAL`, explained
    /// with the numbers, for an offset past `i64::MAX` or what `O_DIRECT` finds misaligned: its
    /// kind is `InvalidInput`, its [errno that of its source](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have written or not; its buffer is kept until that is over.
    ///
    /// # References
    ///
    /// `pwrite(2)`, `io_submit(2)`.
    pub fn write_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.routed.write(buf.into(), offset))
    }

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; otherwise as for [`read_at`](Self::read_at).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn read_exact_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        InRuntime::new(whole::read_exact(&self.routed, buf.into(), offset))
    }

    /// Writes the whole buffer at `offset`.
    ///
    /// # Errors
    ///
    /// `WriteZero` if nothing more can be written; otherwise as for [`write_at`](Self::write_at).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn write_all_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        InRuntime::new(whole::write_all(&self.routed, buf.into(), offset))
    }

    /// Waits until content and metadata are on the device.
    ///
    /// # Errors
    ///
    /// Those of `fsync(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn sync_all(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.routed.sync(false))
    }

    /// Waits until the content is on the device, with what metadata is needed to read it again.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)`.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    pub fn sync_data(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.routed.sync(true))
    }

    /// Size, times, permissions.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.routed.metadata().await
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.routed.set_len(len).await
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self::from_std(file)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.routed.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.routed.file.as_raw_fd()
    }
}
