//! An open file.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use super::route::RoutedFile;
use super::transfer::Transfer;
use super::{Alignment, Buf, IntoBuf, whole};
use crate::runtime::context::InRuntime;

/// An open file, read and written at offsets.
///
/// It has no position: each operation says where it reads or writes, in bytes from the beginning,
/// and any number of them may be under way at once. They take an owned buffer (see [`IntoBuf`]) and
/// give it back with the result, on an error too.
///
/// A file belongs to no runtime: an operation runs in the one that it is awaited in. Dropping the
/// file closes it as soon as no operation uses it any more.
///
/// [`OpenOptions`] opens files in other ways than [`open`](Self::open) and [`create`](Self::create)
/// do, such as for direct I/O.
///
/// # Examples
///
/// ```
/// use aio_runtime::fs::File;
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
/// let (result, buf) = file.read_exact_at(vec![0; 5], 6).await;
/// result?;
/// assert_eq!(&buf[..], b"world");
/// # Ok(())
/// # }
/// ```
///
/// [`OpenOptions`]: super::OpenOptions
#[derive(Debug)]
pub struct File {
    routed: RoutedFile,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`: `ENOENT` if it does not exist, `EACCES`, `EMFILE` if the process has no
    /// descriptor left, and others; [`ResourceBusy`](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: if the file is opened, it is closed again.
    ///
    /// # Examples
    ///
    /// ```
    /// use aio_runtime::fs::File;
    ///
    /// # #[aio_runtime::main]
    /// # async fn main() {
    /// let error = File::open("no/such/file").await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// # }
    /// ```
    pub fn open<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<Self>> + use<P> {
        Self::open_with(fs::OpenOptions::new().read(true), 0, path)
    }

    /// Opens a file for writing, creating it, or truncating it if it exists.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`: `ENOENT` if the directory does not exist, `EACCES`, `EISDIR`, `EROFS`,
    /// `EMFILE` if the process has no descriptor left, and others; [`ResourceBusy`](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped after its first poll may still create or truncate the file.
    ///
    /// # Examples
    ///
    /// See [`File`].
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

    /// Converts from a [`std::fs::File`], with the flags that it was opened with. Needs no runtime.
    ///
    /// # Examples
    ///
    /// See [`try_into_std`](Self::try_into_std).
    pub fn from_std(file: fs::File) -> Self {
        Self { routed: RoutedFile::from_std(file) }
    }

    /// Converts into a [`std::fs::File`]. Needs no runtime.
    ///
    /// # Errors
    ///
    /// Returns the file itself while an operation whose future was dropped is still under way.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// # use aio_runtime::fs::File;
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// file.write_all_at(b"text".to_vec(), 0).await.0?;
    ///
    /// let mut text = String::new();
    /// file.try_into_std().expect("nothing is under way").read_to_string(&mut text)?;
    /// assert_eq!(text, "text");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_into_std(self) -> Result<fs::File, Self> {
        self.routed.try_into_std().map_err(|routed| Self { routed })
    }

    /// Opens a second descriptor of the same open file.
    ///
    /// # Errors
    ///
    /// `EMFILE` if the process has no descriptor left.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::File;
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// let clone = file.try_clone().await?;
    /// clone.set_len(100).await?;
    /// assert_eq!(file.metadata().await?.len(), 100);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::from_std(self.routed.file.try_clone()?))
    }

    /// What `O_DIRECT` requires of buffers, offsets and lengths; `None` if the file was opened
    /// without it. Where the kernel does not say (before Linux 6.1, and on file systems such as
    /// tmpfs) it is 4096 bytes for all of them.
    ///
    /// # Examples
    ///
    /// See [`Alignment`].
    pub fn alignment(&self) -> Option<Alignment> {
        self.routed.direct.map(|direct| direct.alignment)
    }

    /// Reads up to `buf.len()` bytes at `offset`, and returns how many.
    ///
    /// They may be fewer, at the end of the file or where only a part was in the page cache. 0
    /// means that the file ends at `offset` or before, unless the buffer is empty.
    ///
    /// # Errors
    ///
    /// - `EISDIR` for a directory, `ESPIPE` for a pipe or a socket, `EBADF` if the file is not open
    ///   for reading, `EIO` if the device failed; [`ResourceBusy`](super#errors).
    /// - `EINVAL`, [explained](super#errors), for an offset past `i64::MAX`, for what `O_DIRECT`
    ///   finds misaligned, and for a buffer with capacity and no length: a read fills the length.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the buffer and nothing else. The buffer is kept until the kernel
    /// is done with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::{Buf, File};
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::open("Cargo.toml").await?;
    /// let (mut content, mut buf) = (Vec::new(), Buf::zeroed(4096));
    /// loop {
    ///     let read;
    ///     (read, buf) = file.read_at(buf, content.len() as u64).await;
    ///     match read? {
    ///         0 => break,
    ///         read => content.extend_from_slice(&buf[..read]),
    ///     }
    /// }
    /// assert!(content.starts_with(b"[package]"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # References
    ///
    /// `pread(2)`, `io_submit(2)`.
    pub fn read_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.routed.transfer(Transfer::Read, buf.into(), offset))
    }

    /// Writes up to `buf.len()` bytes at `offset`, and returns how many. In a file that was opened
    /// to append they go to the end.
    ///
    /// # Errors
    ///
    /// - `EBADF` if the file is not open for writing, `ESPIPE` for a pipe, `ENOSPC` and `EDQUOT` if
    ///   there is no room, `EFBIG` past the largest size, `EIO` if the device failed;
    ///   [`ResourceBusy`](super#errors).
    /// - `EINVAL`, [explained](super#errors), for an offset past `i64::MAX` and for what `O_DIRECT`
    ///   finds misaligned.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped after its first poll may still write. The buffer is kept until the
    /// kernel is done with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::File;
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// let (written, _) = file.write_at(b"a line\n".to_vec(), 0).await;
    /// println!("{} of 7 bytes", written?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # References
    ///
    /// `pwrite(2)`, `io_submit(2)`.
    pub fn write_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<usize>, Buf)> {
        InRuntime::new(self.routed.transfer(Transfer::Write, buf.into(), offset))
    }

    /// Fills the buffer with `buf.len()` bytes, from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends first; otherwise as [`read_at`](Self::read_at). The
    /// buffer's content is then unspecified.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::{Buf, File};
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// file.write_all_at(b"hello world".to_vec(), 0).await.0?;
    ///
    /// let (result, world) = file.read_exact_at(Buf::zeroed(5), 6).await;
    /// result?;
    /// assert_eq!(&world[..], b"world");
    ///
    /// let (result, _) = file.read_exact_at(world, 8).await;
    /// assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_exact_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        InRuntime::new(whole::transfer(&self.routed, Transfer::Read, buf.into(), offset))
    }

    /// Writes the whole buffer at `offset`.
    ///
    /// # Errors
    ///
    /// `WriteZero` if nothing more can be written; otherwise as [`write_at`](Self::write_at). A
    /// part may have been written then.
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped after its first poll may have written a part, and may still write.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::{Buf, File};
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// let hello_world = Buf::from(b"hello world".to_vec());
    /// let (result, world) = file.write_all_at(hello_world.slice(6..), 0).await;
    /// result?;
    /// assert_eq!(&world.unslice()[..], b"hello world");
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_all_at(&self, buf: impl IntoBuf, offset: u64) -> impl Future<Output = (io::Result<()>, Buf)> {
        InRuntime::new(whole::transfer(&self.routed, Transfer::Write, buf.into(), offset))
    }

    /// Waits until content and metadata are on the device.
    ///
    /// # Errors
    ///
    /// Those of `fsync(2)`: `EIO`, `ENOSPC` and `EDQUOT` for an earlier write that could not be
    /// finished; `EINVAL` for what cannot be synced (a pipe); [`ResourceBusy`](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the sync.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::File;
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// let file = File::create(path).await?;
    /// file.write_all_at(b"not to be lost".to_vec(), 0).await.0?;
    /// file.sync_all().await?;
    /// // The name is in the directory, which is a file of its own.
    /// File::open(dir.path()).await?.sync_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync_all(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.routed.sync(false))
    }

    /// Waits until the content is on the device, with as much metadata as it takes to read it again
    /// (the length, but not the times).
    ///
    /// Errors, panics and cancel safety are those of [`sync_all`](Self::sync_all), and so is the
    /// example.
    pub fn sync_data(&self) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.routed.sync(true))
    }

    /// Size, times, permissions.
    ///
    /// Where a direct write runs [depends on the file's length](super#how-an-operation-runs). If
    /// somebody else extends the file, calling this updates the length that the `File` knows.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`; [`ResourceBusy`](super#errors).
    ///
    /// Panics are those of [`set_len`](Self::set_len), and so is the example.
    pub fn metadata(&self) -> impl Future<Output = io::Result<Metadata>> {
        InRuntime::new(self.routed.metadata())
    }

    /// Truncates the file to `len` bytes, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`: `EINVAL` if the file is not open for writing, `EFBIG` past the
    /// largest size, `EPERM` if it is sealed or append-only; [`ResourceBusy`](super#errors).
    ///
    /// # Panics
    ///
    /// When awaited outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped after its first poll may still change the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # use aio_runtime::fs::File;
    /// # #[aio_runtime::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let file = File::from_std(tempfile::tempfile()?);
    /// file.set_len(1 << 20).await?;
    /// assert_eq!(file.metadata().await?.len(), 1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_len(&self, len: u64) -> impl Future<Output = io::Result<()>> {
        InRuntime::new(self.routed.set_len(len))
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
